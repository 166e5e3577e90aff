"""Conversion between the three forms of an action.

- The environment's own form, as `step` takes it, with the shape, type and bounds of the action space.
- The stored form, which is exact: discrete actions as choices counted from 0 (a bare number for one dimension, a row
  for several); continuous actions flattened, in the environment's own type and unit.
- The models' form, one row per action: choices counted from 0 (int64), or numbers in [-1, 1] (float32).

Where there is no action (after an episode's end, before its first step, in video), the stored and models' forms have -1
in every discrete dimension and NaN in every continuous one.

Legend: `B` actions, `D` dimensions.
"""

from typing import Any

import numpy as np

from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.utils.numbers import as_array, exact

NO_ACTION = -1


def stored_type(spec: ActionSpec) -> tuple[str, tuple[int, ...]]:
    """Find the dtype and row shape of the store's column for actions.

    Raises:
        ValueError: The actions have both discrete and continuous dimensions.
    """
    if spec.discrete and spec.continuous:
        raise ValueError(
            f"Actions of {len(spec.discrete)} discrete and {spec.continuous} continuous dimensions cannot be stored: "
            "expected one kind of dimensions."
        )
    dtype = (spec.dtype or "float32") if spec.continuous else "int16"
    return dtype, () if spec.is_single else (spec.dims,)


def no_actions(spec: ActionSpec, count: int) -> np.ndarray:
    """Make `count` stored rows that hold no action."""
    dtype, row = stored_type(spec)
    return np.full((count, *row), np.nan if spec.continuous else NO_ACTION, dtype)


def are_actions(stored: np.ndarray) -> np.ndarray:
    """Whether each stored row holds an action, (B,) bool."""
    known = ~np.isnan(stored) if stored.dtype.kind == "f" else stored != NO_ACTION
    return known.reshape(len(stored), -1).all(1)


def stored_actions(actions: Any, spec: ActionSpec, what: str = "Action") -> np.ndarray:
    """Convert the environment's own actions to the stored form.

    Args:
        actions: (B, *shape).
        spec: Description of the actions.
        what: Name of the actions in errors.

    Raises:
        ValueError: The shape is wrong, an action is out of bounds, or a number would change.
    """
    array = as_array(actions, what)
    shape = spec.shape if spec.space else () if spec.is_single else (spec.dims,)
    if array.ndim == 0 or array.shape[1:] != shape:
        raise ValueError(f"{what} has the shape {array.shape[1:]}: expected {shape or 'one number'}.")
    dtype, row = stored_type(spec)
    if spec.continuous:
        stored = exact(array.reshape(len(array), spec.dims), dtype, what)
    else:
        start = np.array(spec.start or (0,) * spec.dims, np.int64)
        stored = exact(exact(array.reshape(len(array), spec.dims), np.int64, what) - start, np.int64, what)
    check_stored(stored, spec, what)
    return exact(stored.reshape(len(array), *row), dtype, what)


def check_stored(stored: np.ndarray, spec: ActionSpec, what: str) -> None:
    """Check that stored actions lie in their space; rows without an action are refused too.

    Raises:
        ValueError: An action is out of bounds, infinite or NaN.
    """
    flat = stored.reshape(len(stored), -1)
    if spec.continuous:
        low, high = (np.array(bound, stored.dtype) for bound in _bounds(spec))
        good = (flat >= low) & (flat <= high) & np.isfinite(flat)
        start = np.zeros(spec.dims, np.int64)
    else:
        start = np.array(spec.start or (0,) * spec.dims, np.int64)
        low, high = np.zeros(spec.dims), np.array(spec.discrete) - 1
        good = (flat >= low) & (flat <= high)
    if not good.all():
        step, dim = (int(n) for n in np.argwhere(~good)[0])
        which = f" in dimension {dim}" if spec.dims > 1 else ""
        found, least, most = flat[step, dim] + start[dim], low[dim] + start[dim], high[dim] + start[dim]
        advice = "; Gymnasium's ClipAction keeps actions in bounds" if spec.continuous else ""
        raise ValueError(
            f"{what} is {found:.9g}{which} at {step}: expected {least:.9g} to {most:.9g}, and a finite number{advice}."
            if spec.continuous
            else f"{what} is {found:.0f}{which} at {step}: expected {least:.0f} to {most:.0f}."
        )


def own_actions(stored: np.ndarray, spec: ActionSpec) -> np.ndarray:
    """Convert stored actions (B, ...) to the environment's own (B, *shape); the inverse of `stored_actions`."""
    shape = spec.shape if spec.space else () if spec.is_single else (spec.dims,)
    if spec.continuous:
        return stored.astype(spec.dtype or "float32").reshape(len(stored), *shape)
    start = np.array(spec.start or (0,) * spec.dims, np.int64)
    numbers = stored.reshape(len(stored), -1).astype(np.int64) + start
    return numbers.astype(spec.dtype or "int64").reshape(len(stored), *shape)


def model_actions(stored: np.ndarray, spec: ActionSpec) -> np.ndarray:
    """Convert stored actions to the models' form: (B, D) int64, or float32 in [-1, 1]. Rows without an action keep -1
    or NaN.

    Raises:
        ValueError: A continuous dimension has no bounds.
    """
    flat = stored.reshape(len(stored), -1)
    if not spec.continuous:
        return flat.astype(np.int64)
    low, high = _finite(spec)
    # halves, because the difference of two finite bounds can overflow
    unit = (flat.astype(np.float64) / 2 - low / 2) / (high / 2 - low / 2) * 2 - 1
    return unit.astype(np.float32)


def random_actions(spec: ActionSpec, count: int, generator: np.random.Generator) -> np.ndarray:
    """Draw `count` random actions of the environment, (count, *shape).

    Dimensions with two bounds are drawn uniformly, those with one bound from an exponential distribution that begins
    there, and those without bounds from a normal distribution.
    """
    if not spec.continuous:
        return environment_actions(generator.integers(spec.discrete, size=(count, spec.dims)), spec)
    unit, (low, high) = generator.uniform(-1.0, 1.0, (count, spec.dims)), _bounds(spec)
    below, above = np.isfinite(low), np.isfinite(high)
    if (below & above).all():
        return environment_actions(unit, spec)
    tail, normal = generator.exponential(size=unit.shape), generator.normal(size=unit.shape)
    least, most = np.where(below & above, low, 0.0), np.where(below & above, high, 0.0)
    between = least * (1 - unit) / 2 + most * (1 + unit) / 2
    drawn = np.where(below, np.where(above, between, low + tail), np.where(above, high - tail, normal))
    dtype = np.dtype(spec.dtype or "float32")
    return own_actions(np.clip(drawn.astype(dtype), low.astype(dtype), high.astype(dtype)), spec)


def environment_actions(chosen: np.ndarray, spec: ActionSpec) -> np.ndarray:
    """Convert actions that models chose (B, D) to the environment's own (B, *shape).

    A continuous number outside [-1, 1] is clipped: a regression can give any number, but the environment accepts only
    those of its space.

    Raises:
        ValueError: A continuous dimension has no bounds.
    """
    if not spec.continuous:
        return own_actions(chosen, spec)
    dtype = np.dtype(spec.dtype or "float32")
    low, high = _finite(spec)
    unit = np.clip(chosen.astype(np.float64), -1.0, 1.0)
    values = (low * (1 - unit) / 2 + high * (1 + unit) / 2).astype(dtype)
    return own_actions(np.clip(values, low.astype(dtype), high.astype(dtype)), spec)


def _bounds(spec: ActionSpec) -> tuple[np.ndarray, np.ndarray]:
    low, high = spec.low or (-1.0,) * spec.continuous, spec.high or (1.0,) * spec.continuous
    return np.array(low, np.float64), np.array(high, np.float64)


def _finite(spec: ActionSpec) -> tuple[np.ndarray, np.ndarray]:
    low, high = _bounds(spec)
    none = ~np.isfinite(low) | ~np.isfinite(high)
    if none.any():
        dim = int(none.argmax())
        raise ValueError(
            f"Dimension {dim} of the actions {spec.name or spec.space!r} has the bounds {low[dim]:g} and "
            f"{high[dim]:g}: expected finite bounds."
        )
    return low, high
