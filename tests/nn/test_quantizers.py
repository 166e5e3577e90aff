"""Quantizers: one interface, found by name, each a bottleneck of the latent action model."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from flexlam_rl.models.flexlam.config import PRESETS, LAMConfig
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.nn.pretrained import CheckpointError, from_json, to_json
from flexlam_rl.nn.quantizers import FSQ, QUANTIZERS, Quantized, Quantizer

DEBUG = PRESETS["debug"].lam


class Nearest(Quantizer):
    """Learned vectors; the nearest one is taken."""

    def __init__(self, size: int, dim: int = 3) -> None:
        super().__init__()
        self.dim, self.codes = dim, size
        self.table = nn.Parameter(torch.randn(size, dim))

    def forward(self, z: Tensor) -> Quantized:
        codes = torch.cdist(z.flatten(0, -2), self.table).argmin(-1).view(z.shape[:-1])
        found = self.table[codes]
        return Quantized(z + (found - z).detach(), codes, (found - z.detach()).square().mean())

    def lookup(self, codes: Tensor) -> Tensor:
        return self.table[codes]


class Plain(Quantizer):
    """Continuous: the encoder's vectors as they are."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim, self.codes = dim, None

    def forward(self, z: Tensor) -> Quantized:
        return Quantized(z, None, 0.1 * z.square().mean())


@pytest.fixture(autouse=True)
def registered():
    QUANTIZERS.register("nearest", Nearest)
    QUANTIZERS.register("plain", Plain)
    yield
    QUANTIZERS.unregister("nearest")
    QUANTIZERS.unregister("plain")


def build(name: str, **options) -> LAM:
    torch.manual_seed(0)
    return LAM(replace(DEBUG, quantizer=name, quantizer_options=options))


def frames(batch: int = 4):
    return torch.randint(0, 256, (2, batch, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize(("name", "options", "codes"), [("nearest", {"size": 7}, 7), ("plain", {"dim": 5}, None)])
def test_a_registered_quantizer_is_the_bottleneck_of_a_model_that_trains_and_loads(tmp_path, name, options, codes):
    lam = build(name, **options)
    assert (lam.latent.codes, lam.latent.dim) == (codes, options.get("dim", 3))
    for parameter in lam.parameters():
        if not parameter.any():  # the gates of the decoder start closed
            nn.init.normal_(parameter, std=0.1)
    out = lam(*frames(), torch.Generator().manual_seed(0))
    assert out.loss > out.losses.mean(), "the quantizer's own loss is missing"
    out.loss.backward()
    assert all(p.grad.any() for p in lam.quantizer.parameters())
    assert lam.encoder.head.weight.grad.any()
    lam.save_pretrained(tmp_path)
    again = LAM.from_pretrained(tmp_path)
    latents = lam.encode(*frames())
    assert torch.equal(latents, again.encode(*frames()))
    assert latents.shape == ((4, 4) if codes else (4, 4, 5))
    assert torch.equal(
        lam.decode(frames()[0], latents, 2, 2, torch.Generator().manual_seed(0)),
        again.decode(frames()[0], latents, 2, 2, torch.Generator().manual_seed(0)),
    )


@pytest.mark.parametrize(("name", "options"), [("nearest", {"size": 7}), ("plain", {"dim": 5})])
def test_nothing_of_a_dropped_slot_is_kept(name, options):
    lam = build(name, **options)
    latents = lam.encode(*frames())
    other = latents.clone()
    other[:, 2:] = latents[:, 2:].roll(1, 0)
    assert torch.equal(lam.keep_prefix(latents, 2), lam.keep_prefix(other, 2))
    assert torch.equal(lam.keep_prefix(latents, 2), lam.keep_prefix(latents[:, :2], 2))
    assert torch.equal(lam.keep_prefix(latents, 2)[:, 2:], lam.null.expand(4, 2, -1))


def test_vectors_of_codes_are_those_of_quantizing():
    for quantizer in (FSQ((8, 5, 5, 5)), Nearest(9)):
        out = quantizer(torch.randn(6, 4, quantizer.dim))
        assert torch.allclose(quantizer.lookup(out.codes), out.vectors, atol=1e-6)
        assert out.codes.dtype == torch.int64 and out.codes.max() < quantizer.codes


def test_a_configuration_from_before_there_were_others_has_fsq():
    old = to_json(DEBUG)
    assert "quantizer" not in old and "quantizer_options" not in old, "files of models with FSQ have changed"
    assert from_json(LAMConfig, old, "config") == DEBUG
    other = replace(DEBUG, quantizer="nearest", quantizer_options={"size": 7})
    assert from_json(LAMConfig, to_json(other), "config") == other
    with pytest.raises(CheckpointError, match="quantizer_options is 3; expected dict"):
        from_json(LAMConfig, old | {"quantizer_options": 3}, "config")


def test_bad_names_and_options_are_named():
    with pytest.raises(ValueError, match=r"Unknown quantizer 'fqs'.*did you mean 'fsq'"):
        build("fqs")
    with pytest.raises(ValueError, match=r"quantizer_options is {'size': 7}; the quantizer 'fsq' takes levels"):
        build("fsq", size=7)
    lam = build("plain", dim=5)
    with pytest.raises(ValueError, match="'plain' has no codes"):
        _ = lam.code_count
    with pytest.raises(ValueError, match="Plain has no codes"):
        lam.quantizer.lookup(torch.zeros(1, dtype=torch.long))
    with pytest.raises(ValueError, match=r"shape \(4, 4\); expected vectors of 5 numbers"):
        lam.keep_prefix(torch.zeros(4, 4, dtype=torch.long), 2)
