"""NumPy's indexing for an array on disk, which reads only the rows that a key selects."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np


def pick(key: Any, shape: tuple[int, ...], read: Callable[[slice | np.ndarray], np.ndarray]) -> np.ndarray:
    """Compute `array[key]` with NumPy's rules.

    Args:
        key: Anything that NumPy accepts as an index.
        shape: Shape of the array.
        read: Function that reads rows of the array, given a slice of step 1 or sorted row numbers without repetitions,
            (n,) int64.

    Returns:
        A new array.

    Raises:
        IndexError: As in NumPy: a row does not exist, a mask has a wrong shape, or the key is not an index.
    """
    if isinstance(key, slice):
        start, stop, step = key.indices(shape[0])
        if step == 1:
            return read(slice(start, stop))
    parts = _spelled_out(key, len(shape))
    first = next((i for i, part in enumerate(parts) if _axes(part)), len(parts))
    if first == len(parts):
        parts.append(slice(None))
    given = parts[first]
    if isinstance(given, slice):
        rows = np.arange(*given.indices(shape[0]))
        order = slice(None, None, -1 if len(rows) > 1 and rows[0] > rows[1] else 1)
        return np.array(read(rows[order])[tuple([*parts[:first], order, *parts[first + 1 :]])])
    index: Any
    if given.dtype == bool:
        expected = shape[: given.ndim]
        if given.shape != expected:
            raise IndexError(
                f"A mask of shape {given.shape} does not fit frames of shape {shape}: expected {expected}."
            )
        index, *more = given.nonzero()
    else:
        index, more = _wrapped(given, shape[0]), []
    rows, inside = np.unique(index, return_inverse=True)
    inside = inside.reshape(np.shape(index))
    block = read(rows)
    # a single number removes its axis and must stay a number, because NumPy would place the axes of an array elsewhere
    here = [int(inside)] if not inside.ndim and not more else [inside, *more]
    return np.array(block[tuple([*parts[:first], *here, *parts[first + 1 :]])])


def _spelled_out(key: Any, axes: int) -> list[Any]:
    """Split a key into parts, with slices in place of `...` and arrays in place of lists."""
    given = key if isinstance(key, tuple) else (key,)
    parts = [part if part is None or part is Ellipsis or isinstance(part, slice) else _index(part) for part in given]
    taken = sum(_axes(part) for part in parts)
    if taken > axes:
        raise IndexError(f"An index has {taken} axes: expected at most {axes}, the axes of frames.")
    dots = [i for i, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1:
        raise IndexError("An index has '...' several times: expected it at most once.")
    if dots:
        parts[dots[0] : dots[0] + 1] = [slice(None)] * (axes - taken)
    return parts


def _axes(part: Any) -> int:
    """Count the axes that one part of a key indexes."""
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if isinstance(part, np.ndarray) and part.dtype == bool else 1


def _index(part: Any) -> np.ndarray:
    try:
        array = np.asarray(part)
    except ValueError:
        array = np.empty(1, object)  # rows of unequal lengths
    if array.dtype.kind in "biu":
        return array
    if array.size == 0 and not isinstance(part, np.ndarray | np.generic):
        return array.astype(np.intp)  # NumPy's rule: an empty list names no rows
    try:
        return np.array(operator.index(part), np.intp)
    except (TypeError, OverflowError):
        raise IndexError(
            f"Frames were indexed by {part!r}: expected row numbers, slices, masks or arrays of row numbers."
        ) from None


def _wrapped(rows: np.ndarray, length: int) -> np.ndarray:
    """Convert row numbers to 0..length-1; negative ones count from the end."""
    bad = (rows < -length) | (rows >= length)
    if bad.any():
        raise IndexError(f"Frame {rows[bad].flat[0]} of {length} frames: it has frames 0 to {length - 1}.")
    wide = rows.astype(np.int64)
    return np.where(wide < 0, wide + length, wide)
