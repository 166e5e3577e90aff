"""The retained prefix: one rule, uniform lengths, and nothing of a dropped slot survives."""

import math

import pytest
import torch

from flexlam_rl.nn.prefix import null_fill, prefix_probabilities, retained, sample_prefix_lengths


def test_lengths_cover_zero_to_m_uniformly():
    generator = torch.Generator().manual_seed(0)
    lengths = sample_prefix_lengths(90_000, 8, generator)
    counts = torch.bincount(lengths, minlength=9)
    assert len(counts) == 9
    # 10,000 expected in each bin; five standard deviations
    assert (counts - 10_000).abs().max() < 5 * (90_000 * (1 / 9) * (8 / 9)) ** 0.5


def test_lengths_follow_the_generator_alone():
    a = sample_prefix_lengths(50, 64, torch.Generator().manual_seed(3))
    torch.manual_seed(99)
    b = sample_prefix_lengths(50, 64, torch.Generator().manual_seed(3))
    assert torch.equal(a, b)


@pytest.mark.parametrize("k", [0, 1, 5, 8])
def test_slots_after_k_cannot_change_the_result(k):
    generator = torch.Generator().manual_seed(1)
    slots = torch.randn(3, 8, 4, generator=generator)
    null = torch.randn(4, generator=generator)
    other = slots.clone()
    other[:, k:] = float("nan")
    lengths = torch.full((3,), k)
    assert torch.equal(null_fill(slots, lengths, null), null_fill(other, lengths, null))
    assert torch.equal(null_fill(slots, lengths, null)[:, :k], slots[:, :k])
    assert (null_fill(slots, lengths, null)[:, k:] == null).all()


def test_gradient_reaches_kept_slots_and_the_null_only():
    slots = torch.randn(2, 4, 3, requires_grad=True)
    null = torch.randn(3, requires_grad=True)
    lengths = torch.tensor([1, 4])
    null_fill(slots, lengths, null).sum().backward()
    assert torch.equal(slots.grad[..., 0].bool(), retained(lengths, 4))
    assert torch.equal(null.grad, torch.full((3,), 3.0))


def test_the_mixed_law_shows_short_prefixes_more_often_and_all_lengths():
    lengths = sample_prefix_lengths(100_000, 16, torch.Generator().manual_seed(0), "mixed")
    shares = torch.bincount(lengths, minlength=17) / 100_000
    expected = torch.full((17,), 0.5 / 17)
    expected[1:] += 0.5 * torch.tensor([math.log((k + 1) / k, 17) for k in range(1, 17)])
    assert torch.allclose(prefix_probabilities(16, "mixed").float(), expected)
    assert torch.allclose(prefix_probabilities(16).float(), torch.full((17,), 1 / 17))
    assert torch.allclose(shares, expected, atol=0.005)


def test_lengths_may_begin_above_nothing() -> None:
    drawn = sample_prefix_lengths(400, 6, torch.Generator().manual_seed(0), least=4)
    assert sorted(set(drawn.tolist())) == [4, 5, 6]
    for least, distribution in ((7, "uniform"), (-1, "uniform"), (1, "mixed")):
        with pytest.raises(ValueError, match=f"least is {least}"):
            sample_prefix_lengths(4, 6, torch.Generator(), distribution, least)  # type: ignore[arg-type]
