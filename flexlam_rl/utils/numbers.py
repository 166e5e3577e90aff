"""Numbers that callers give, NumPy's and torch's among them: kept as they are, or refused in a sentence, never rounded,
wrapped or cut.
"""

import math
import operator
from typing import Any

import numpy as np

INT64 = np.iinfo(np.int64)


def is_integer(value: object) -> bool:
    """Whether a value is an integer of Python or NumPy, and no bool."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def whole(value: Any, name: str, low: int | None = 0, high: int | None = None) -> int:
    """Give a whole number of any kind as Python's.

    Args:
        value: An integer of Python or NumPy, or an array or tensor that holds a single one and has no dimension.
        name: What the sentence calls it.
        low, high: Bounds, included; None for none.

    Raises:
        ValueError: It is something else (True and 1.0 are not whole numbers), or out of bounds.
    """
    try:
        if isinstance(value, bool) or str(getattr(value, "dtype", "")) in ("bool", "torch.bool"):
            raise TypeError
        number = operator.index(value)
        if not (low is not None and number < low) and not (high is not None and number > high):
            return number
    except TypeError:
        pass
    bounds = "" if low is None else f", {low} or more" if high is None else f", {low} to {high}"
    raise ValueError(f"{name} is {value!r}; expected a whole number{bounds}.")


def int64(value: Any, name: str, low: int | None = None) -> int:
    """Give a whole number that 64 bits hold as Python's.

    Raises:
        ValueError: As of `whole`, or it takes more bits.
    """
    number = whole(value, name, low)
    if not INT64.min <= number <= INT64.max:
        raise ValueError(f"{name} is {number}; expected a whole number of 64 bits.")
    return number


def real(value: Any, name: str, low: float = 0.0) -> float:
    """Give a finite number of any kind as Python's.

    Raises:
        ValueError: It is none, or below `low`.
    """
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < low:
        raise ValueError(f"{name} is {value!r}; expected a finite number, {low:g} or more.")
    return float(value)


def flag(value: Any, name: str) -> bool:
    """Give a truth value, or 0 or 1, of any kind as Python's.

    Raises:
        ValueError: It is something else.
    """
    array = as_array(value, name)
    if array.size != 1 or array.dtype.kind not in "biuf" or array.item() not in (0, 1):
        raise ValueError(f"{name} is {value!r}: expected true or false.")
    return bool(array.item())


def exact(values: Any, dtype: Any, what: str, advice: str = "") -> np.ndarray:
    """Give numbers as a fresh array of a type that holds every one of them.

    Args:
        values: An array, or what NumPy makes one of.
        dtype: The type wanted: a bool, whole or floating one.
        what: Names the numbers in the error.
        advice: Ends the error about a number that does not fit.

    Returns:
        An array that shares no memory with `values`.

    Raises:
        ValueError: They are no numbers (text, objects, masked values), or one of them would change.
    """
    wanted = np.dtype(dtype)
    array = as_array(values, what)
    if array.dtype.kind not in "biuf" or (array.dtype.kind == "b" and wanted.kind in "iu"):
        raise ValueError(f"{what} is of the type {array.dtype}: expected numbers that {wanted} holds.")
    if array.dtype == wanted:
        return np.array(array, wanted)
    with np.errstate(all="ignore"):
        out = array.astype(wanted)
        good = _unchanged(array, out)
    if not good.all():
        place = np.unravel_index(int(np.argmin(good)), good.shape)
        at = f" at {', '.join(map(str, place))}" if place else ""
        raise ValueError(
            f"{what} is {array[place]}{at} ({array.dtype}): {wanted} cannot hold this number as it is{advice}."
        )
    return out


def _unchanged(array: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Whether each number of `array` is the same one in `out`."""
    source, target = array.dtype, out.dtype
    if target.kind == "b":
        return (array == 0) | (array == 1)
    if source.kind == "b":
        return np.ones(array.shape, bool)
    back = out.astype(source)
    same = (back == array) | ((array != array) & (back != back))
    # what lies outside the whole numbers of a type may come back from it by wrapping round twice
    if source.kind in "iu" and target.kind in "iu":
        limits = np.iinfo(target)
        return same & (array >= limits.min) & (array <= limits.max)
    if source.kind == "f" and target.kind in "iu":
        return same & (array >= float(np.iinfo(target).min)) & (array < float(np.iinfo(target).max) + 1)
    if source.kind in "iu":
        return same & np.isfinite(out) & (out < float(np.iinfo(source).max) + 1)
    return same


def as_array(values: Any, what: str) -> np.ndarray:
    """Give values as a NumPy array, without a copy where they are one.

    Raises:
        ValueError: No array can be made of them, or some of them are masked.
    """
    if np.ma.is_masked(values):
        raise ValueError(f"{what} has masked values: expected a number everywhere.")
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{what} is no array of numbers: {str(error).splitlines()[0]}") from None
