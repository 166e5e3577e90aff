"""Densities, which score video as it comes in from n environments whose episodes begin at different steps.

Shapes: n environments, T steps, C H W frame.
"""

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor


class Scores(NamedTuple):
    """Scores of the newest frames.

    Attributes:
        total: Score that the reward is computed from, (n,).
        codes: Score of each code of the newest frame, (n, ...).
    """

    total: Tensor
    codes: Tensor


class Density(Protocol):
    """Scores the newest frame of each row, given the frames of its episode before it.

    Attributes:
        rows: Number of environments, n.
        figure: Name of the score in an environment's info.
    """

    rows: int
    figure: str

    def score(self, frames: Tensor) -> Scores:
        """Score the newest frames, uint8 (n, C, H, W), without taking them in.

        The score of a row without earlier frames has no meaning.
        """
        ...

    def advance(self, frames: Tensor, begins: Tensor) -> None:
        """Take in frames (n, C, H, W): the newest, or, where bool `begins` (n,) is true, the first of a new episode."""
        ...


def replay(density: Density, frames: Tensor, begins: Tensor) -> Tensor:
    """Score recorded episodes as they were scored when they were played.

    Args:
        density: Density made like the one that scored the episodes. With the same number of rows, the scores are equal
            bit for bit; with another number, up to rounding, because torch then sums in another order.
        frames: Frames, uint8 (T, n, C, H, W).
        begins: Whether a frame does not follow from the one before, bool (T, n); true for all rows at the first frame.

    Returns:
        The scores, (T, n); NaN where `begins` is true.

    Raises:
        ValueError: The shapes do not fit each other, or a row does not begin at the first frame.
    """
    if frames.ndim != 5 or frames.shape[:2] != begins.shape or frames.shape[1] != density.rows:
        found = f"{tuple(frames.shape)} and {tuple(begins.shape)}"
        raise ValueError(f"frames and begins have shapes {found}; expected (T, {density.rows}, C, H, W) and its start.")
    if not bool(begins[:1].all()):
        raise ValueError("begins is false at the first frame of a row; expected every row to begin there.")
    totals = torch.full(begins.shape, torch.nan)
    for t, (now, new) in enumerate(zip(frames, begins, strict=True)):
        if not bool(new.all()):
            totals[t] = density.score(now).total.cpu().masked_fill(new.cpu(), torch.nan)
        density.advance(now, new)
    return totals


def check_density(value: Any, rows: int) -> Density:
    """Refuse a density with another number of rows.

    Raises:
        ValueError: The density has another number of rows.
    """
    if value.rows != rows:
        raise ValueError(f"The density has {value.rows} rows; there are {rows} environments.")
    return value
