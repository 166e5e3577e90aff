"""Batch normalization of the numbers that FSQ rounds."""

from dataclasses import replace

import pytest
import torch

from flexlam_rl.models.flexlam.config import PRESETS, fixed
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.nn.slot_norm import DEVIATION, SlotNorm

FAINT = torch.tensor([[1.0, 0.01], [5.0, 0.1]])  # deviations of two numbers of two slots


def batch(seed: int, count: int = 256) -> torch.Tensor:
    z = torch.randn(count, 2, 2, generator=torch.Generator().manual_seed(seed)) * FAINT + 3.0
    return z.requires_grad_()


def test_a_number_that_hardly_varies_is_spread_like_others():
    norm = SlotNorm(2, 2)
    out = norm(batch(0))
    assert out.mean(0).abs().max() < 1e-4
    expected = DEVIATION * FAINT / (FAINT.square() + 1e-4).sqrt()  # of a deviation of 0.01, which is the least, less
    assert torch.allclose(out.std(0), expected, rtol=0.1)


def test_outside_of_training_an_example_depends_on_itself_alone():
    norm = SlotNorm(2, 2)
    for seed in range(20):
        norm(batch(seed))
    norm.eval()
    z = batch(100)
    out = norm(z)
    assert torch.allclose(out[:1], norm(z[:1]), atol=1e-6)
    assert torch.allclose(out.std(0), DEVIATION * FAINT / (FAINT.square() + 1e-4).sqrt(), rtol=0.15)
    assert out.mean(0).abs().max() < 0.2


def test_what_is_frozen_and_a_single_example_move_nothing():
    norm = SlotNorm(2, 2)
    norm(batch(0))
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    norm(batch(1).detach())
    norm(batch(1, count=1))
    norm.eval()(batch(2))
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


@pytest.mark.parametrize("prefix", [True, False])
def test_slots_of_a_new_model_use_many_codes(prefix):
    """Without it each slot of a new model has a few codes only, whatever it is shown."""
    torch.manual_seed(0)
    config = PRESETS["tiny"].lam
    lam = LAM(config if prefix else fixed(config, 4))
    frames = torch.rand(2, 64, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    codes = lam.train().quantize(*frames).codes
    plain = LAM(replace(lam.config, normalize=False)).train().quantize(*frames).codes
    assert codes is not None and plain is not None
    assert min(len(column.unique()) for column in codes.T) > 30 > max(len(column.unique()) for column in plain.T)
    # in play: no statistics of a batch
    lam.eval()
    with torch.no_grad():
        whole, single = lam.encode(*frames), lam.encode(*frames[:, :1])
    assert torch.equal(whole[:1], single)


def test_other_quantizers_have_none():
    config = replace(PRESETS["tiny"].lam, quantizer="identity", quantizer_options={"dim": 4})
    assert not any(isinstance(part, SlotNorm) for part in LAM(config).modules())
