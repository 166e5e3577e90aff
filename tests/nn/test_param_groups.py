"""Parameter groups: each parameter of every model in one group, by what owns it and not by its name."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from flexlam_rl.models.baselines.config import laom
from flexlam_rl.models.baselines.features import FeatureTranslator
from flexlam_rl.models.baselines.idm import IDM, BehaviourCloning
from flexlam_rl.models.baselines.laom import LAOM
from flexlam_rl.models.flexlam.config import (
    PRESETS,
    EncoderConfig,
    FeatureConfig,
    IDMConfig,
    TranslatorConfig,
    fixed,
)
from flexlam_rl.models.flexlam.factored.config import SIZES
from flexlam_rl.models.flexlam.factored.model import FactoredPrior
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.recurrent.config import SIZES as RECURRENT
from flexlam_rl.models.flexlam.recurrent.model import RecurrentPrior
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.nn.param_groups import HiddenLayer, param_groups

LAM_CONFIG, SEQUENCE = PRESETS["debug"].lam, PRESETS["debug"].sequence
IDM_CONFIG = IDMConfig(encoder=EncoderConfig(32, 1, 2, 4.0, 16), depth=1, hidden=8, wide=16)


def frames(batch: int = 8):
    return torch.randint(0, 256, (2, batch, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def windows():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 5, 3, 64, 64, generator=generator), torch.randint(0, 1000, (2, 5, 4), generator=generator)


PREVIOUS = torch.arange(-1, 7)[:, None]
MODELS = {
    "flexlam": (lambda: LAM(LAM_CONFIG), lambda m: m(*frames(), torch.Generator().manual_seed(1)).loss),
    "motion": (lambda: LAM(PRESETS["tiny"].lam), lambda m: m(*frames(2), torch.Generator().manual_seed(1)).loss),
    "laom": (lambda: LAOM(laom(PRESETS["tiny"].lam)), lambda m: m(*frames(), torch.Generator().manual_seed(1)).loss),
    "fixed": (lambda: LAM(fixed(LAM_CONFIG, 2)), lambda m: m(*frames(), torch.Generator().manual_seed(1)).loss),
    "sequence": (lambda: SequenceModel(SEQUENCE), lambda m: m.loss(*windows()).mean()),
    "conv": (lambda: SequenceModel(replace(SEQUENCE, stem="conv")), lambda m: m.loss(*windows()).mean()),
    "factored": (lambda: FactoredPrior(SIZES["debug"]), lambda m: m.loss(*windows()).mean()),
    "recurrent": (lambda: RecurrentPrior(RECURRENT["debug"]), lambda m: m.loss(*windows()).mean()),
    "translator": (
        lambda: Translator(TranslatorConfig(4, conditioning="slots+action+frame", depth=1, hidden=8, wide=16)),
        lambda m: m(torch.ones(8, 4, 4), PREVIOUS, frames()[0]).square().mean(),
    ),
    "idm": (lambda: IDM(IDM_CONFIG), lambda m: m(*frames(), PREVIOUS).square().mean()),
    "bc": (lambda: BehaviourCloning(IDM_CONFIG), lambda m: m(frames()[0], PREVIOUS).square().mean()),
    "features": (
        lambda: FeatureTranslator(FeatureConfig(depth=1, hidden=8, wide=16)),
        lambda m: m(*frames(), PREVIOUS).square().mean(),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_each_parameter_that_trains_is_in_one_group(name):
    model = MODELS[name][0]()
    sorted_in = [id(p) for group in model.param_groups() for p in group["params"]]
    assert len(sorted_in) == len(set(sorted_in))
    assert set(sorted_in) == {id(p) for p in model.parameters() if p.requires_grad}


@pytest.mark.parametrize("name", MODELS)
def test_gradient_reaches_each_group(name):
    build, loss = MODELS[name]
    torch.manual_seed(0)
    model = build()
    for p in model.parameters():
        if not p.any():
            nn.init.normal_(p, std=0.05)
    loss(model).backward()
    for group in model.param_groups():
        assert any(p.grad is not None and p.grad.any() for p in group["params"]), (group["kind"], group["decay"])


@pytest.mark.parametrize("name", MODELS)
def test_matrices_and_decay_follow_the_owner(name):
    model = MODELS[name][0]()
    owners = {id(p): (path, m, key) for path, m in model.named_modules() for key, p in m.named_parameters("", False)}
    kinds = set()
    for group in model.param_groups():
        for p in group["params"]:
            path, owner, key = owners[id(p)]
            kinds.add(group["kind"])
            weight = key == "weight" and isinstance(owner, nn.Linear | nn.Conv2d)
            assert group["decay"] == (weight or path in model.decayed_embeddings), f"{path}.{key}"
            if group["kind"] == "matrix":
                assert isinstance(owner, nn.Linear) and p.ndim == 2 and group["decay"]
    assert kinds == {"matrix", "other"}


class Tokenizer(HiddenLayer):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 4), nn.Embedding(4, 4), nn.LayerNorm(4))


def test_a_name_tells_nothing_and_a_convolution_is_no_matrix():
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokenizer, self.position = Tokenizer(), nn.Linear(4, 4)
            self.tied = self.position

    model = Named()
    conv, linear, embedding, norm = model.tokenizer.blocks
    other, matrix, plain = param_groups(model)
    assert [id(p) for p in other["params"]] == [id(conv.weight), id(model.position.weight)]
    assert [id(p) for p in matrix["params"]] == [id(linear.weight)]
    assert {id(p) for p in plain["params"]} >= {id(embedding.weight), id(norm.weight), id(conv.bias)}
    assert (other["decay"], matrix["decay"], plain["decay"]) == (True, True, False)


def test_frozen_parameters_are_in_no_group():
    lam = LAM(LAM_CONFIG).requires_grad_(False)
    assert lam.param_groups() == []
    lam.encoder.requires_grad_(True)
    assert sum(len(group["params"]) for group in lam.param_groups()) == len(list(lam.encoder.parameters()))
