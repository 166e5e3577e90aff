"""What scores video as it comes in, for n environments that each have their own clock.

Shapes: n environments, T steps, C H W frame.
"""

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor


class Scores(NamedTuple):
    """How likely the newest frames are.

    Attributes:
        total: (n,), what the reward is made of.
        codes: (n, ...), the same of each code of the newest frame.
    """

    total: Tensor
    codes: Tensor


class Density(Protocol):
    """Scores the newest frame of each row, given the frames of its episode before it.

    Attributes:
        rows: n.
        figure: Name of the score in an environment's info.
    """

    rows: int
    figure: str

    def score(self, frames: Tensor) -> Scores:
        """Score the newest frames, uint8 (n, C, H, W); nothing is changed.

        A row without a past has a score that means nothing.
        """
        ...

    def advance(self, frames: Tensor, begins: Tensor) -> None:
        """Take in frames (n, C, H, W): the newest, or where bool `begins` (n,) is true the first of a new past."""
        ...


def replay(density: Density, frames: Tensor, begins: Tensor) -> Tensor:
    """Score recorded episodes as they were scored when they were played: bit for bit in as many rows.

    Args:
        density: Made as the one that watched the episodes. How torch adds numbers up depends on how many rows there
            are: with more or fewer, the scores agree within rounding.
        frames: uint8 (T, n, C, H, W).
        begins: bool (T, n): frames that do not follow from the one before. All rows begin at the first.

    Returns:
        (T, n); not a number where a frame begins.

    Raises:
        ValueError: The shapes do not belong together, or some row does not begin at the first frame.
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
    """Refuse what is no density of so many rows.

    Raises:
        ValueError: It is none.
    """
    if value.rows != rows:
        raise ValueError(f"The density has {value.rows} rows; there are {rows} environments.")
    return value
