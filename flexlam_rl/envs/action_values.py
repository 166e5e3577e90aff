"""The three forms of an action, and the one place where they become each other.

- The environment's own, as its `step` takes it: of the shape, type and bounds of its space.
- As stores keep it, exactly: one choice as a bare number, several as a row of them, counted from 0; continuous actions
  flattened, in the environment's own type and unit.
- As models see it, a row per action: choices counted from 0 (int64), or numbers in [-1, 1] (float32).

Where there is no action (after an episode's end, before its first step, in video), stores and models have -1 in every
discrete dimension, and stores NaN in every continuous one.

Legend: `B` actions, `D` dimensions.
"""

from typing import Any

import numpy as np

from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.utils.numbers import as_array, exact

NO_ACTION = -1


def stored_type(spec: ActionSpec) -> tuple[str, tuple[int, ...]]:
    """Give the type and the row shape of a store's column of such actions.

    Raises:
        ValueError: They have discrete and continuous dimensions.
    """
    if spec.discrete and spec.continuous:
        raise ValueError(
            f"Actions of {len(spec.discrete)} discrete and {spec.continuous} continuous dimensions cannot be kept: "
            "expected either."
        )
    dtype = (spec.dtype or "float32") if spec.continuous else "int16"
    return dtype, () if spec.is_single else (spec.dims,)


def no_actions(spec: ActionSpec, count: int) -> np.ndarray:
    """Give `count` rows of a store's column that hold no action."""
    dtype, row = stored_type(spec)
    return np.full((count, *row), np.nan if spec.continuous else NO_ACTION, dtype)


def are_actions(stored: np.ndarray) -> np.ndarray:
    """Whether rows of a store's column hold an action, (B,) bool."""
    known = ~np.isnan(stored) if stored.dtype.kind == "f" else stored != NO_ACTION
    return known.reshape(len(stored), -1).all(1)


def stored_actions(actions: Any, spec: ActionSpec, what: str = "Action") -> np.ndarray:
    """Turn the environment's own actions into a store's.

    Args:
        actions: (B, *shape).
        spec: Of the actions.
        what: Names them in an error.

    Raises:
        ValueError: They have another shape, are outside their bounds, or would change.
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
    """Refuse actions, as stores keep them, that their space does not have; rows of no action are refused too.

    Raises:
        ValueError: One is outside its bounds, infinite or no number.
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
        advice = "; Gymnasium's ClipAction keeps actions within" if spec.continuous else ""
        raise ValueError(
            f"{what} is {found:.9g}{which} at {step}: expected {least:.9g} to {most:.9g}, and a finite number{advice}."
            if spec.continuous
            else f"{what} is {found:.0f}{which} at {step}: expected {least:.0f} to {most:.0f}."
        )


def own_actions(stored: np.ndarray, spec: ActionSpec) -> np.ndarray:
    """Turn a store's actions (B, ...) into the environment's own (B, *shape); the inverse of `stored_actions`."""
    shape = spec.shape if spec.space else () if spec.is_single else (spec.dims,)
    if spec.continuous:
        return stored.astype(spec.dtype or "float32").reshape(len(stored), *shape)
    start = np.array(spec.start or (0,) * spec.dims, np.int64)
    numbers = stored.reshape(len(stored), -1).astype(np.int64) + start
    return numbers.astype(spec.dtype or "int64").reshape(len(stored), *shape)


def model_actions(stored: np.ndarray, spec: ActionSpec) -> np.ndarray:
    """Turn a store's actions into models': (B, D) int64, or float32 in [-1, 1]; NaN stays where there is no action.

    Raises:
        ValueError: A continuous dimension has no bounds.
    """
    flat = stored.reshape(len(stored), -1)
    if not spec.continuous:
        return flat.astype(np.int64)
    low, high = _finite(spec)
    # halves, because the difference of two bounds can be infinite
    unit = (flat.astype(np.float64) / 2 - low / 2) / (high / 2 - low / 2) * 2 - 1
    return unit.astype(np.float32)


def random_actions(spec: ActionSpec, count: int, generator: np.random.Generator) -> np.ndarray:
    """Draw `count` of the environment's own actions: uniformly between bounds, and in dimensions that have one bound or
    none, from an exponential or normal distribution.
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
    """Turn what models chose (B, D) into the environment's own actions (B, *shape).

    A continuous number below -1 or above 1 becomes the bound: a regression can give any number, and the environment
    takes those of its space alone.

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
            f"{high[dim]:g}: expected finite ones."
        )
    return low, high
