"""Checks of numbers from callers, including NumPy's and torch's: a number is kept exactly or refused in one sentence,
never rounded, wrapped or clipped.
"""

import math
import operator
from typing import Any

import numpy as np

INT64 = np.iinfo(np.int64)


def is_integer(value: object) -> bool:
    """Whether a value is a Python or NumPy integer and not a bool."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def whole(value: Any, name: str, low: int | None = 0, high: int | None = None) -> int:
    """Check a whole number and return it as a Python int.

    Args:
        value: A Python or NumPy integer, or a 0-dimensional array or tensor of one.
        name: Name of the value in the error.
        low, high: Inclusive bounds; None for no bound.

    Raises:
        ValueError: It is not a whole number (True and 1.0 are refused too), or it is out of bounds.
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
    """Check a whole number that fits into 64 bits, signed, and return it as a Python int.

    Raises:
        ValueError: As for `whole`, or it needs more than 64 bits.
    """
    number = whole(value, name, low)
    if not INT64.min <= number <= INT64.max:
        raise ValueError(f"{name} is {number}; expected a whole number of 64 bits.")
    return number


def real(value: Any, name: str, low: float = 0.0) -> float:
    """Check a finite number and return it as a Python float.

    Raises:
        ValueError: It is not a finite number, or it is below `low`.
    """
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < low:
        raise ValueError(f"{name} is {value!r}; expected a finite number, {low:g} or more.")
    return float(value)


def flag(value: Any, name: str) -> bool:
    """Check a truth value, 0 or 1 of any numeric type included, and return it as a Python bool.

    Raises:
        ValueError: It is neither true nor false.
    """
    array = as_array(value, name)
    if array.size != 1 or array.dtype.kind not in "biuf" or array.item() not in (0, 1):
        raise ValueError(f"{name} is {value!r}: expected true or false.")
    return bool(array.item())


def exact(values: Any, dtype: Any, what: str, advice: str = "") -> np.ndarray:
    """Convert numbers to an array of a given type without changing any of them.

    Args:
        values: An array, or anything that NumPy turns into one.
        dtype: The wanted type: bool, integer or floating point.
        what: Name of the numbers in the error.
        advice: Text that ends the error about a number that does not fit.

    Returns:
        A new array, which shares no memory with `values`.

    Raises:
        ValueError: The values are not numbers (text, objects, masked values), or one of them would change.
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
    """Whether each number of `array` has the same value in `out`."""
    source, target = array.dtype, out.dtype
    if target.kind == "b":
        return (array == 0) | (array == 1)
    if source.kind == "b":
        return np.ones(array.shape, bool)
    back = out.astype(source)
    same = (back == array) | ((array != array) & (back != back))
    # a number outside the range of a type may wrap around on the way there and again on the way back
    if source.kind in "iu" and target.kind in "iu":
        limits = np.iinfo(target)
        return same & (array >= limits.min) & (array <= limits.max)
    if source.kind == "f" and target.kind in "iu":
        return same & (array >= float(np.iinfo(target).min)) & (array < float(np.iinfo(target).max) + 1)
    if source.kind in "iu":
        return same & np.isfinite(out) & (out < float(np.iinfo(source).max) + 1)
    return same


def as_array(values: Any, what: str) -> np.ndarray:
    """Convert values to a NumPy array; an array is returned as it is, without a copy.

    Raises:
        ValueError: NumPy cannot make an array of them, or some of them are masked.
    """
    if np.ma.is_masked(values):
        raise ValueError(f"{what} has masked values: expected a number everywhere.")
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{what} is not an array of numbers: {str(error).splitlines()[0]}") from None
