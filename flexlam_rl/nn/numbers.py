"""Values that callers give, NumPy's among them."""

import copy
import dataclasses
import math
from typing import Any

import numpy as np


def whole(value: Any, name: str, low: int = 0, high: int | None = None) -> int:
    """The integer `value` as Python's.

    Raises:
        ValueError: It is none (True and 1.0 are not), or lies outside `low` to `high`.
    """
    integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not integer or value < low or (high is not None and value > high):
        expected = f"{low} or more" if high is None else f"{low}..{high}"
        raise ValueError(f"{name} is {value!r}; expected a whole number, {expected}.")
    return int(value)


def real(value: Any, name: str, low: float = 0.0) -> float:
    """The finite number `value` as Python's.

    Raises:
        ValueError: It is none, or below `low`.
    """
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < low:
        raise ValueError(f"{name} is {value!r}; expected a finite number, {low:g} or more.")
    return float(value)


class Plain:
    """A frozen dataclass that keeps plain values of its own: NumPy's numbers as Python's, lists as tuples, dictionaries
    copied.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            object.__setattr__(self, field.name, _plain(getattr(self, field.name)))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in value)
    return copy.deepcopy(value) if isinstance(value, dict) else value
