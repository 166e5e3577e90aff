"""Figures of vectors that stand for transitions: 1 is what a displacement would have, about 0 what chance would.

Legend: `B` transitions, `F` numbers of a vector.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Figure(NamedTuple):
    """A value and its standard error over transitions."""

    value: float
    error: float


RESAMPLES = 200


def agreement(one: Tensor, two: Tensor, seed: int = 0) -> Figure:
    """Correlation of two sets of vectors (B, F), each less its mean, all their numbers pooled; 0 where either is the
    same for all rows.

    The standard error is a bootstrap's over rows.
    """
    a, b = (part.double() - part.double().mean(0) for part in (one, two))
    parts = torch.stack([(a * b).sum(1), a.square().sum(1), b.square().sum(1)], 1)
    rows = torch.randint(0, len(parts), (RESAMPLES, len(parts)), generator=torch.Generator().manual_seed(seed))
    sums = torch.cat([parts.sum(0, keepdim=True), parts[rows].sum(1)])
    found = torch.where(
        sums[:, 1:].min(1).values > 1e-12, sums[:, 0] / (sums[:, 1] * sums[:, 2]).sqrt().clamp_min(1e-300), 0.0
    )
    return Figure(float(found[0]), float(found[1:].std()))


def additivity(first: Tensor, second: Tensor, both: Tensor) -> Figure:
    """Whether the vectors of two steps in a row add up to that of the transition that the two make."""
    return agreement(first + second, both)


def reversal(there: Tensor, back: Tensor) -> Figure:
    """Whether the vector of a transition seen backwards is the opposite one; -1 where the order of the two frames makes
    no difference.
    """
    return agreement(there, -back)


def gained(right: Tensor, control: Tensor) -> Figure:
    """Share of what the control misses that is right: (B,) of 0 and 1 each."""
    own, other = right.double().mean(), control.double().mean()
    room = float((1 - other).clamp_min(1e-9))
    spread = float((right.double() - control.double()).std()) / len(right) ** 0.5 if len(right) > 1 else float("nan")
    return Figure(float(own - other) / room, spread / room)
