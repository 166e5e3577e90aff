"""Which environments of a batch a caller means: a bool mask or indices, and seeds for them.

Legend: `n` environments.
"""

from typing import Any

import numpy as np


def rows_of(which: Any, rows: int | None = None, name: str = "which") -> np.ndarray:
    """Indices (int64) of the environments that `which` names.

    Args:
        which: Bool mask (n,), or indices, each once; a single bool or index stands for a batch of one.
        rows: n; None where it is not known: any mask and any index is then possible.
        name: What the argument is called in an error.

    Raises:
        ValueError: A mask of another length, an index outside 0..n-1 or given twice, or something else altogether.
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
    """Indices of the environments that begin episodes, and their seeds.

    Args:
        which: As for `rows_of`.
        seeds: Whole numbers from 0 on: for indices one each; for a mask one for each environment, of which the masked
            ones count.
        rows: n, None where it is not known.

    Raises:
        ValueError: As for `rows_of`; another number of seeds, or what is no seed.
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
    """Bool mask (n,) from one entry for each environment, true or false (or 1 and 0).

    Raises:
        ValueError: Another number of entries, or other values.
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
