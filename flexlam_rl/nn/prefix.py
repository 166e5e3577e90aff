"""The retained prefix (paper, section 4.1): the one rule that training, translator and policy share.

Shapes: B... any leading dimensions, M slots, d numbers per slot.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from flexlam_rl.utils.numbers import whole

PrefixDistribution = Literal["uniform", "mixed"]
"""How training draws prefix lengths: Uniform{0..M} (paper, appendix A.7), or half of them so and half log-uniform over
1..M.

Uniform lengths show a prefix of one code in 1 of M + 1 examples only; the mixed distribution, not the paper's, shows it
in about 1 of 7 (M = 16).
"""
PrefixLaw = PrefixDistribution  # the name of version 0.1


def sample_prefix_lengths(
    batch: int, slots: int, generator: torch.Generator, distribution: PrefixDistribution = "uniform", least: int = 0
) -> Tensor:
    """Draw `batch` prefix lengths from least..slots, both ends included.

    Args:
        batch: How many lengths.
        slots: M, the number of slots.
        generator: The explicit random stream; it belongs into the checkpoint.
        distribution: How lengths are distributed; "mixed" begins at 0.
        least: The shortest.

    Returns:
        int64 (B,) in least..M, on the generator's device.

    Raises:
        ValueError: `least` lies outside 0..M, or is not 0 for a distribution that begins there.
    """
    if whole(least, "least", 0, slots) and distribution != "uniform":
        raise ValueError(f"least is {least}; prefix lengths of the distribution {distribution!r} begin at 0.")
    lengths = torch.randint(least, slots + 1, (batch,), generator=generator, device=generator.device)
    if distribution == "uniform":
        return lengths
    exponent, coin = torch.rand(2, batch, generator=generator, device=generator.device, dtype=torch.float32)
    return torch.where(coin < 0.5, ((slots + 1) ** exponent).long().clamp(1, slots), lengths)


def prefix_probabilities(slots: int, distribution: PrefixDistribution = "uniform") -> Tensor:
    """How likely `sample_prefix_lengths` draws each length: float64 (slots + 1,)."""
    uniform = torch.full((slots + 1,), 1 / (slots + 1), dtype=torch.float64)
    if distribution == "uniform":
        return uniform
    ends = torch.arange(1, slots + 2, dtype=torch.float64).log() / math.log(slots + 1)
    return (uniform + torch.cat([torch.zeros(1, dtype=torch.float64), ends.diff()])) / 2


def retained(lengths: Tensor, slots: int) -> Tensor:
    """Which slots a prefix keeps: bool (B..., M), true where `arange(M) < k`.

    Args:
        lengths: int (B...) in 0..M.
        slots: M.
    """
    return torch.arange(slots, device=lengths.device) < lengths.unsqueeze(-1)


def null_fill(slots: Tensor, lengths: Tensor, null: Tensor) -> Tensor:
    """Replace the slots after each prefix by the shared learned null.

    Nothing of a replaced slot reaches the result, whatever it holds (NaN included), and no gradient flows back to it.

    Args:
        slots: (B..., M, d).
        lengths: int (B...) in 0..M.
        null: (d,).

    Returns:
        (B..., M, d), equal to `slots` where `arange(M) < k` and to `null` elsewhere.
    """
    keep = retained(lengths, slots.shape[-2]).unsqueeze(-1)
    return torch.where(keep, slots, null.to(slots.dtype))
