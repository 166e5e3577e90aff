"""The retained prefix (paper, section 4.1): the one rule that training, translator and policy share.

Shapes: B... any leading dimensions, M slots, d numbers per slot.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from flexlam_rl.utils.numbers import whole

PrefixDistribution = Literal["uniform", "mixed"]
"""Distribution of prefix lengths in training: "uniform" on 0..M (paper, appendix A.7), or "mixed", in which half of the
lengths are uniform and half log-uniform on 1..M.

With uniform lengths, only 1 of M + 1 examples shows a prefix of one code; the mixed distribution, which is not the
paper's, shows it in about 1 of 7 (M = 16).
"""
PrefixLaw = PrefixDistribution  # name in version 0.1


def sample_prefix_lengths(
    batch: int, slots: int, generator: torch.Generator, distribution: PrefixDistribution = "uniform", least: int = 0
) -> Tensor:
    """Draw `batch` prefix lengths from least..slots, both ends included.

    Args:
        batch: Number of lengths.
        slots: M, the number of slots.
        generator: Explicit random stream, which belongs in the checkpoint.
        distribution: Distribution of the lengths; that of "mixed" begins at 0.
        least: Smallest length.

    Returns:
        int64 (B,) in least..M, on the generator's device.

    Raises:
        ValueError: `least` is outside 0..M, or is not 0 with a distribution that begins at 0.
    """
    if whole(least, "least", 0, slots) and distribution != "uniform":
        raise ValueError(f"least is {least}; prefix lengths of the distribution {distribution!r} begin at 0.")
    lengths = torch.randint(least, slots + 1, (batch,), generator=generator, device=generator.device)
    if distribution == "uniform":
        return lengths
    exponent, coin = torch.rand(2, batch, generator=generator, device=generator.device, dtype=torch.float32)
    return torch.where(coin < 0.5, ((slots + 1) ** exponent).long().clamp(1, slots), lengths)


def prefix_probabilities(slots: int, distribution: PrefixDistribution = "uniform") -> Tensor:
    """Compute the probability of each length in `sample_prefix_lengths`: float64 (slots + 1,)."""
    uniform = torch.full((slots + 1,), 1 / (slots + 1), dtype=torch.float64)
    if distribution == "uniform":
        return uniform
    ends = torch.arange(1, slots + 2, dtype=torch.float64).log() / math.log(slots + 1)
    return (uniform + torch.cat([torch.zeros(1, dtype=torch.float64), ends.diff()])) / 2


def retained(lengths: Tensor, slots: int) -> Tensor:
    """Mask of the slots that a prefix keeps: bool (B..., M), true where `arange(M) < k`.

    Args:
        lengths: int (B...) in 0..M.
        slots: M.
    """
    return torch.arange(slots, device=lengths.device) < lengths.unsqueeze(-1)


def null_fill(slots: Tensor, lengths: Tensor, null: Tensor) -> Tensor:
    """Replace the slots after each prefix by the shared learned null.

    Replaced slots do not affect the result, whatever they hold (NaN included), and get no gradient.

    Args:
        slots: (B..., M, d).
        lengths: int (B...) in 0..M.
        null: (d,).

    Returns:
        (B..., M, d), equal to `slots` where `arange(M) < k` and to `null` elsewhere.
    """
    keep = retained(lengths, slots.shape[-2]).unsqueeze(-1)
    return torch.where(keep, slots, null.to(slots.dtype))
