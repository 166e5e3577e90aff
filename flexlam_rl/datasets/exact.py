"""Conversion of numbers that refuses to change one."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike


def exact(values: Any, dtype: DTypeLike, what: str) -> np.ndarray:
    """Convert numbers to another type if every one of them keeps its value.

    Args:
        values: Numbers or booleans of any shape.
        dtype: Wanted type.
        what: Names one value in the error, "Action" for example.

    Returns:
        An array of that type; NaN stays NaN where the type has it.

    Raises:
        ValueError: A value that the type cannot hold, or something that is no number.
    """
    found, target = np.asarray(values), np.dtype(dtype)
    if found.dtype == target:
        return found
    if found.dtype.kind not in "biuf":
        raise ValueError(f"{what} has the type {found.dtype}: expected numbers.")
    with np.errstate(all="ignore"):
        cast = found.astype(target)
        # there and back, because a comparison of two types may round both; the sign, because -1 and 65535 are one int16
        changed = (cast.astype(found.dtype) != found) | ((cast < 0) != (found < 0))
    if found.dtype.kind == "f" and target.kind == "f":
        changed &= ~(np.isnan(found) & np.isnan(cast))
    if changed.any():
        at = np.argwhere(changed)[0].tolist()
        place = f" at {at[0] if len(at) == 1 else tuple(at)}" if at else ""
        raise ValueError(f"{what} {found[changed][0]}{place} does not fit the type {target}, which would change it: expected {_room(target)}.")
    return cast


def rewards(values: Any, what: str, rounded: bool = False) -> np.ndarray:
    """Convert rewards to the store's float32.

    Args:
        values: (T,) numbers.
        what: Names the data in the error.
        rounded: Take the nearest float32 of numbers between two of them.

    Raises:
        ValueError: NaN or infinity, or a number that float32 does not hold exactly and `rounded` is false.
    """
    found = np.asarray(values)
    if found.dtype.kind not in "biuf":
        raise ValueError(f"The reward of {what} has the type {found.dtype}: expected numbers.")
    with np.errstate(over="ignore"):
        near = found.astype(np.float32)
    if not np.isfinite(near).all():
        row = int(np.flatnonzero(~np.isfinite(near))[0])
        raise ValueError(f"Reward {found[row]} of {what} at {row}: expected a finite number of float32.")
    if rounded:
        return near
    try:
        return exact(found, np.float32, f"Reward of {what}")
    except ValueError as error:
        raise ValueError(f"{str(error).rstrip('.')}; round_rewards=True (--round-rewards) takes the nearest.") from None


def _room(target: np.dtype[Any]) -> str:
    if target.kind in "iu":
        return f"whole numbers from {np.iinfo(target).min} to {np.iinfo(target).max}"
    return "0 or 1" if target.kind == "b" else f"numbers of {target}"
