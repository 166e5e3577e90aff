"""Conversion between Gymnasium's action spaces and `ActionSpec`."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import spaces

from flexlam_rl.envs.spec import ActionSpec

MOST_CHOICES = 2**15  # stores keep choices as int16
FLOATS = ("float32", "float64")


def action_spec_of(space: spaces.Space[Any], name: str = "") -> ActionSpec:
    """Describe an action space.

    Args:
        space: `Discrete`, `MultiDiscrete`, `MultiBinary`, or a `Box` of float32, float64 or integers.
        name: Name of the action set.

    Returns:
        The description. Equal spaces have equal hashes, whatever their names.

    Raises:
        ValueError: The space is of another kind, a continuous dimension has no width (low = high), or a discrete
            dimension has more than 32,768 choices.
    """
    if isinstance(space, spaces.Discrete):
        spec = ActionSpec((space.n,), space="Discrete", dtype="int64", start=(space.start,))
    elif isinstance(space, spaces.MultiDiscrete):
        spec = _choices(space, space.nvec, space.start)
    elif isinstance(space, spaces.MultiBinary):
        spec = _choices(space, np.full(space.shape, 2), np.zeros(space.shape, np.int64))
    elif isinstance(space, spaces.Box) and space.dtype.kind in "iu":
        low, high = (bound.astype(object) for bound in (space.low, space.high))
        spec = _choices(space, high - low + 1, low)
    elif isinstance(space, spaces.Box) and space.dtype.name in FLOATS and space.low.size:
        lows, highs = (tuple(bound.ravel().tolist()) for bound in (space.low, space.high))
        if not (space.low < space.high).all():
            raise ValueError(f"The action space {space} has a fixed dimension: expected low below high in each one.")
        spec = ActionSpec((), len(lows), space="Box", shape=space.shape, dtype=space.dtype.name, low=lows, high=highs)
    else:
        raise ValueError(
            f"The action space {space} is not supported: expected Discrete, MultiDiscrete, MultiBinary, or a Box of "
            "float32, float64 or whole numbers."
        )
    if max(spec.discrete, default=0) > MOST_CHOICES:
        raise ValueError(
            f"The action space {space} has a dimension of {max(spec.discrete):,} choices: expected at most "
            f"{MOST_CHOICES:,}."
        )
    content = json.dumps(spec.to_json(), sort_keys=True, separators=(",", ":"))
    return replace(spec, name=name, hash=hashlib.sha256(content.encode()).hexdigest())


def _choices(space: spaces.Space[Any], choices: Any, start: Any) -> ActionSpec:
    count, first = (tuple(int(number) for number in np.ravel(values)) for values in (choices, start))
    assert space.shape is not None and space.dtype is not None
    return ActionSpec(count, space=type(space).__name__, shape=space.shape, dtype=space.dtype.name, start=first)


def space_of(spec: ActionSpec) -> spaces.Space[Any]:
    """Make the Gymnasium space that a description stands for.

    Raises:
        ValueError: The description has both discrete and continuous dimensions; no single Gymnasium space has both.
    """
    if spec.discrete and spec.continuous:
        raise ValueError(
            f"Actions have {len(spec.discrete)} discrete and {spec.continuous} continuous dimensions; a single "
            "Gymnasium space has dimensions of one kind only."
        )
    start = np.array(spec.start or (0,) * len(spec.discrete), np.int64)
    choices = np.array(spec.discrete, np.int64)
    if spec.continuous:
        shape, dtype = (spec.shape, spec.dtype) if spec.space else ((spec.continuous,), "float32")
        low, high = (
            np.array(bound or (number,) * spec.continuous, dtype).reshape(shape)
            for bound, number in ((spec.low, -1.0), (spec.high, 1.0))
        )
        return spaces.Box(low, high, shape, np.dtype(dtype).type)
    kind = spec.space or ("Discrete" if len(spec.discrete) == 1 else "MultiDiscrete")
    if kind == "Discrete":
        return spaces.Discrete(spec.discrete[0], start=int(start[0]))
    shape, dtype = (spec.shape, spec.dtype) if spec.space else ((len(spec.discrete),), "int64")
    if kind == "MultiBinary":
        return spaces.MultiBinary(shape[0] if len(shape) == 1 else shape)
    if kind == "Box":
        lows, highs = start.astype(dtype).reshape(shape), (start + choices - 1).astype(dtype).reshape(shape)
        return spaces.Box(lows, highs, shape, np.dtype(dtype).type)
    return spaces.MultiDiscrete(choices.reshape(shape), dtype=np.dtype(dtype).type, start=start.reshape(shape))
