"""The compiled parts of every model are one graph each, and compiling them changes no result."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from flexlam_rl.models.baselines.idm import IDM
from flexlam_rl.models.flexlam.config import PRESETS, EncoderConfig, IDMConfig, TranslatorConfig
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.models.flexlam.translator import Translator

DEBUG = PRESETS["debug"]
MOTION = replace(
    DEBUG.lam,
    encoder=replace(DEBUG.lam.encoder, patch=4, stem="conv"),
    decoder=replace(DEBUG.lam.decoder, patch=4, kind="motion"),
)


def pair(batch: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    first, second = torch.randint(
        0, 256, (2, batch, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return first, second


def windows() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 5, 3, 64, 64, generator=generator), torch.randint(0, 1000, (2, 5, 4), generator=generator)


def previous() -> torch.Tensor:
    return torch.tensor([[-1], [0], [3], [14]])


# how to build each model, and a loss of it
CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module], torch.Tensor]]] = {
    "lam": (lambda: LAM(DEBUG.lam), lambda m: m(*pair(), torch.Generator().manual_seed(1)).loss),
    "velocity": (
        lambda: LAM(replace(DEBUG.lam, decoder=replace(DEBUG.lam.decoder, predict="velocity"))),
        lambda m: m(*pair(), torch.Generator().manual_seed(1)).loss,
    ),
    "motion": (lambda: LAM(MOTION), lambda m: m(*pair(), torch.Generator().manual_seed(1)).loss),
    "sequence": (lambda: SequenceModel(DEBUG.sequence), lambda m: m.loss(*windows(), 1).mean()),
    "translator": (
        lambda: Translator(TranslatorConfig(slots=4)),
        lambda m: m(torch.ones(4, 4, 4), previous()).square().mean(),
    ),
    "idm": (
        lambda: IDM(IDMConfig(encoder=EncoderConfig(32, 1, 2, 4.0, 16))),
        lambda m: m(*pair(), previous()).square().mean(),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_compiled_parts_give_the_same_loss_and_gradient(name, monkeypatch):
    build, loss = CASES[name]
    compiled = []
    original = nn.Module.compile

    def traced(self, **options):
        # the graph is made as for any device, and then run as it is: no compiler is needed
        compiled.append(self)
        original(self, backend="aot_eager", **options)

    monkeypatch.setattr(nn.Module, "compile", traced)
    results = []
    for fast in (False, True):
        torch.manual_seed(0)
        model = build()
        for p in model.parameters():
            if not p.any():
                nn.init.normal_(p, std=0.05)
        if fast:
            model.compile_parts()
        value = loss(model)
        value.backward()
        results.append(
            (value.detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
        )
        names = list(model.state_dict())
        assert not any("_orig_mod" in key for key in names)
    assert len(compiled) >= len(type(model).compiled_parts) > 0
    assert torch.allclose(results[0][0], results[1][0], rtol=1e-5)
    assert torch.allclose(results[0][1], results[1][1], rtol=1e-4, atol=1e-6)


def test_of_a_stack_one_layer_is_compiled(monkeypatch):
    from torch._dynamo.utils import counters  # imports torch's compiler, which takes seconds

    original = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, **options: original(self, backend="aot_eager", **options))
    torch.compiler.reset()
    counters.clear()
    sizes = replace(DEBUG.lam, encoder=replace(DEBUG.lam.encoder, depth=3), decoder=replace(DEBUG.lam.decoder, depth=4))
    model = LAM(sizes)
    model.compile_parts()
    model(*pair(), torch.Generator().manual_seed(1)).loss.backward()
    assert (
        counters["stats"]["unique_graphs"] == 3
    )  # the encoder's layer, its last one for the slots alone, the decoder's
