"""The environments of a batch that a caller names, by a bool mask or by indices, and seeds for them.

Legend: `n` environments.
"""

from typing import Any

import numpy as np


def rows_of(which: Any, rows: int | None = None, name: str = "which") -> np.ndarray:
    """Return the indices (int64) of the environments that `which` names.

    Args:
        which: Bool mask (n,), or indices, each once; a single bool or index stands for a batch of one.
        rows: Number of environments, n; None where it is not known, and every mask and index is accepted.
        name: Name of the argument in messages.

    Raises:
        ValueError: A mask has another length, an index lies outside 0..n-1 or is given twice, or `which` is neither.
    """
    given = _array(which, name)
    if given.size and given.dtype.kind not in "biu":
        raise ValueError(f"{name} is {which!r}; expected a bool mask with one entry for each environment, or indices.")
    if given.dtype == np.bool_:
        if rows is not None and len(given) != rows:
            raise ValueError(f"{name} is a mask of {len(given)} entries; there are {rows} environments.")
        return np.flatnonzero(given)
    top = np.iinfo(np.int64).max if rows is None else rows
    outside = (given < 0) | (given >= top)
    if outside.any():
        expected = "0 or more" if rows is None else f"0..{rows - 1}"
        raise ValueError(f"{name} holds the index {given[outside][0]}; expected {expected}.")
    if len(np.unique(given)) != len(given):
        raise ValueError(f"{name} is {given.tolist()}, which names an environment twice.")
    return given.astype(np.int64)


def begun(which: Any, seeds: Any, rows: int | None = None) -> tuple[np.ndarray, list[int]]:
    """Return the indices of the environments that begin episodes, and their seeds.

    Args:
        which: As for `rows_of`.
        seeds: Whole numbers of at least 0, one per entry of `which`; for a mask, those count where it is true.
        rows: Number of environments, n; None where it is not known.

    Raises:
        ValueError: `rows_of` refuses `which`, there is another number of seeds, or one is not a whole number of at
            least 0.
    """
    mask, numbers = _array(which, "which"), _array(seeds, "seeds")
    index = rows_of(which, rows)
    if len(numbers) != len(mask):
        raise ValueError(f"There are {len(numbers)} seeds for {len(mask)} entries of which; expected one for each.")
    chosen = numbers[mask] if mask.dtype == np.bool_ else numbers
    if chosen.size and (chosen.dtype.kind not in "iu" or chosen.min() < 0):
        raise ValueError(f"seeds are {chosen.tolist()}; expected whole numbers, 0 or more.")
    return index, [int(seed) for seed in chosen.tolist()]


def mask_of(value: Any, rows: int, name: str) -> np.ndarray:
    """Make a bool mask (n,) from one entry per environment, True or False (or 1 or 0).

    Args:
        value: The entries.
        rows: Number of environments, n.
        name: Name of the argument in messages.

    Raises:
        ValueError: There is another number of entries, or one has another value.
    """
    given = _array(value, name)
    if given.dtype.kind not in "biuf" or not ((given == 0) | (given == 1)).all():
        raise ValueError(f"{name} is {value!r}; expected a bool for each environment.")
    if len(given) != rows:
        raise ValueError(f"{name} has {len(given)} entries; there are {rows} environments.")
    return given.astype(np.bool_)


def _array(value: Any, name: str) -> np.ndarray:
    try:
        given = np.atleast_1d(np.asarray(value))
    except (ValueError, TypeError):
        given = np.zeros((0, 0))
    if given.ndim != 1:
        raise ValueError(f"{name} is {value!r}; expected one entry for each environment.")
    return given
