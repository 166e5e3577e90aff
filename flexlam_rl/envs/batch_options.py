"""Checks of the arguments with which batches of environments are made and reset.

Legend: `N` environments.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from flexlam_rl.envs.checks import integer
from flexlam_rl.envs.seeds import stream_seed
from flexlam_rl.utils.numbers import is_integer


def reset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    """Find an autoreset mode by name (`"NextStep"`, `"SameStep"`, `"Disabled"`, or `"NEXT_STEP"` and so on).

    Raises:
        ValueError: There is no mode of that name.
    """
    if isinstance(mode, AutoresetMode):
        return mode
    for candidate in AutoresetMode:
        if isinstance(mode, str) and mode in (candidate.value, candidate.name):
            return candidate
    raise ValueError(f"autoreset_mode must be one of {', '.join(repr(m.value) for m in AutoresetMode)}, got {mode!r}.")


def step_limit(steps: Any) -> int | None:
    """Check `max_episode_steps`; None and -1 stand for no limit, as in `gym.make`.

    Raises:
        ValueError: It is neither None, -1 nor an integer of at least 1.
    """
    return None if steps is None or (is_integer(steps) and steps == -1) else integer("max_episode_steps", steps)


def reset_seeds(seed: Any, num_envs: int) -> list[int | None]:
    """Find the seed with which each environment's stream starts anew; None where the stream continues.

    Args:
        seed: None, a number (environment `i` gets `seed + i`), or a list with one seed or None per environment.
        num_envs: Number of environments.

    Raises:
        ValueError: The seed is something else, or the list has the wrong length.
    """
    if seed is None:
        return [None] * num_envs
    if isinstance(seed, Sequence | np.ndarray) and not isinstance(seed, str) and np.ndim(seed) > 0:
        if len(seed) != num_envs:
            raise ValueError(
                f"seed has {len(seed)} entries for num_envs={num_envs}: give one number or one for each environment."
            )
        return [stream_seed(one) for one in seed]
    first = stream_seed(seed)
    assert first is not None
    return [first + i for i in range(num_envs)]


def reset_mask(given: Any, num_envs: int) -> np.ndarray | None:
    """Check the mask of a reset and copy it; None stands for all environments.

    Raises:
        ValueError: It is neither None nor an (N,) bool array with at least one true value.
    """
    if given is None:
        return None
    if not isinstance(given, np.ndarray) or given.shape != (num_envs,) or given.dtype != np.bool_ or not given.any():
        raise ValueError(
            f"options['reset_mask'] must be a bool array of shape ({num_envs},) with a true value, got {given!r}."
        )
    return given.copy()
