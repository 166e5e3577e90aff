"""Figures of vectors that represent transitions: 1 for a displacement, about 0 for chance.

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
    """Compute the correlation of two sets of vectors (B, F), over all their numbers after subtracting each set's mean.

    It is 0 where either set is the same for all rows. The standard error comes from a bootstrap over rows.
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
    """Measure whether the vectors of two consecutive steps add up to that of the transition over both."""
    return agreement(first + second, both)


def reversal(there: Tensor, back: Tensor) -> Figure:
    """Measure whether the vector of a reversed transition is the opposite one; -1 where the order of the two frames
    makes no difference.
    """
    return agreement(there, -back)


def gained(right: Tensor, control: Tensor) -> Figure:
    """Compute the share of the control's errors that is avoided, from results (B,) of 0 and 1."""
    own, other = right.double().mean(), control.double().mean()
    room = float((1 - other).clamp_min(1e-9))
    spread = float((right.double() - control.double()).std()) / len(right) ** 0.5 if len(right) > 1 else float("nan")
    return Figure(float(own - other) / room, spread / room)
