"""Conversion of callers' values to Python's own types, without shared memory."""

import copy
import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np


def python_value(value: Any) -> Any:
    """Convert NumPy values and one-number tensors to Python's, lists to tuples, and dictionaries to deep copies."""
    if isinstance(value, np.generic | np.ndarray) or (getattr(value, "shape", None) == () and hasattr(value, "tolist")):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(python_value(item) for item in value)
    return copy.deepcopy(value) if isinstance(value, dict) else value


class Plain:
    """Base of frozen dataclasses that convert each of their fields with `python_value`."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            object.__setattr__(self, field.name, python_value(getattr(self, field.name)))


def json_value(value: Any, what: str) -> Any:
    """Convert a value to an equal one that JSON can hold: NumPy's numbers become Python's, arrays and tuples lists.

    Args:
        value: The value; the result shares no memory with it.
        what: Name of the value in errors.

    Raises:
        ValueError: JSON cannot hold the value or a part of it; the message says which.
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
        return json_value(inside.tolist(), what)
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
        return {str(key): json_value(inner, f"{what}[{str(key)!r}]") for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(inner, f"{what}[{number}]") for number, inner in enumerate(value)]
    raise ValueError(
        f"{what} is {value!r}: expected a text, a number, true, false, None, or lists and dictionaries of them."
    )
