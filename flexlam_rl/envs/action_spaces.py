"""Gymnasium's action spaces as `ActionSpec`."""

import hashlib
import json
from typing import Any

from gymnasium import spaces

from flexlam_rl.envs.spec import ActionSpec


def action_spec_of(space: spaces.Space[Any], name: str = "") -> ActionSpec:
    """Describe an action space.

    Args:
        space: `Discrete`, `MultiDiscrete`, or a `Box` of one dimension whose bounds are -1 and 1 (Gymnasium's wrapper
            `RescaleAction` makes one of any bounded `Box`).
        name: Name of the action set.

    Returns:
        The description; its hash stands for the space, so that equal spaces have equal hashes.

    Raises:
        ValueError: It is another space.
    """
    discrete: tuple[int, ...] = ()
    continuous = 0
    if isinstance(space, spaces.Discrete) and space.start == 0:
        discrete = (int(space.n),)
    elif isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1 and not space.start.any():
        discrete = tuple(int(n) for n in space.nvec)
    elif isinstance(space, spaces.Box) and len(space.shape) == 1 and space.dtype.kind == "f":
        if (space.low != -1).any() or (space.high != 1).any():
            raise ValueError(
                f"The action space {space} has other bounds than -1 and 1: wrap the environment in Gymnasium's "
                "RescaleAction."
            )
        continuous = int(space.shape[0])
    else:
        raise ValueError(
            f"The action space {space} is not supported: expected Discrete or MultiDiscrete from 0, or a Box of one "
            "dimension."
        )
    content = json.dumps({"discrete": discrete, "continuous": continuous}, sort_keys=True, separators=(",", ":"))
    return ActionSpec(discrete, continuous, name, hashlib.sha256(content.encode()).hexdigest())
