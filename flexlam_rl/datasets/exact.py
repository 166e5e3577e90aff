"""Numbers and JSON values taken from a caller: kept as they are, or refused in a sentence, never rounded, wrapped or
cut.
"""

import math
import operator
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

INT64 = np.iinfo(np.int64)


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


def whole(value: Any, what: str, low: int = INT64.min, high: int = INT64.max) -> int:
    """Give a whole number of any kind (NumPy's too) as Python's.

    Raises:
        ValueError: It is no whole number, or lies outside `low` to `high`.
    """
    try:
        if isinstance(value, bool | np.bool_) or (isinstance(value, np.ndarray) and value.dtype.kind == "b"):
            raise TypeError
        number = (
            int(value)
            if isinstance(value, float | np.floating) and float(value).is_integer()
            else operator.index(value)
        )
    except TypeError:
        raise ValueError(f"{what} is {value!r}: expected a whole number.") from None
    if not low <= number <= high:
        raise ValueError(f"{what} is {number}: expected {low} to {high}.")
    return number


def flag(value: Any, what: str) -> bool:
    """Give a truth value, or 0 or 1, of any kind as Python's.

    Raises:
        ValueError: It is something else.
    """
    array = as_array(value, what)
    if array.size != 1 or array.dtype.kind not in "biuf" or array.item() not in (0, 1):
        raise ValueError(f"{what} is {value!r}: expected true or false.")
    return bool(array.item())


def plain(value: Any, what: str) -> Any:
    """Give JSON values that equal a caller's and share nothing with them: NumPy's numbers become Python's, arrays and
    tuples lists.

    Raises:
        ValueError: JSON has no such value; the sentence says where it stands.
    """
    if value is None or type(value) in (bool, int):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in "biufU":
        inside = value.astype(np.float64) if value.dtype.kind == "f" else value
        if value.dtype.kind == "f" and not np.array_equal(inside, value, equal_nan=True):
            raise ValueError(f"{what} is {value!r}: expected a number that float64 holds.")
        return plain(inside.tolist(), what)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{what} is {value}: JSON holds finite numbers only.")
        return float(value)
    if isinstance(value, int):  # a kind of its own, such as an IntEnum
        return int(value)
    if isinstance(value, Mapping):
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            raise ValueError(f"{what} has the key {wrong[0]!r}: expected texts as keys.")
        return {str(key): plain(inner, f"{what}[{str(key)!r}]") for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, f"{what}[{number}]") for number, inner in enumerate(value)]
    raise ValueError(
        f"{what} is {value!r}: expected a text, a number, true, false, None, or lists and dictionaries of them."
    )
