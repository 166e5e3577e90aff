"""Options of batches of environments, checked."""

import inspect
import multiprocessing
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from flexlam_rl.envs.checks import flag, integer
from flexlam_rl.envs.domains.dmlab.env import DMLabEnv
from flexlam_rl.envs.seeds import stream_seed
from flexlam_rl.utils.numbers import is_integer


def reset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    """Find the autoreset mode of a name (`"NextStep"`, `"SameStep"`, `"Disabled"`, or `"NEXT_STEP"` and so on).

    Raises:
        ValueError: There is none.
    """
    if isinstance(mode, AutoresetMode):
        return mode
    for candidate in AutoresetMode:
        if isinstance(mode, str) and mode in (candidate.value, candidate.name):
            return candidate
    raise ValueError(f"autoreset_mode must be one of {', '.join(repr(m.value) for m in AutoresetMode)}, got {mode!r}.")


def spread_levels(level: str | Sequence[str], num_envs: int) -> list[str]:
    """Give every environment its level.

    Raises:
        ValueError: A list whose length is not `num_envs`, or no environments.
    """
    count = integer("num_envs", num_envs)
    if isinstance(level, str):
        return [level] * count
    if not isinstance(level, Sequence | np.ndarray):
        raise ValueError(f"level must be a name, or a list of one name for each environment, got {level!r}.")
    if len(level) != count:
        raise ValueError(
            f"level has {len(level)} names for num_envs={count}: give one name or one for each environment."
        )
    return list(level)


def thread_count(threads: Any) -> int | None:
    """Check a number of threads, None for one per core.

    Raises:
        ValueError: It is neither None nor an integer of at least 1.
    """
    return None if threads is None else integer("threads", threads)


def step_limit(steps: Any) -> int | None:
    """Check `max_episode_steps`; None and -1 stand for no limit, as in `gym.make`.

    Raises:
        ValueError: It is something else than these or an integer of at least 1.
    """
    return None if steps is None or (is_integer(steps) and steps == -1) else integer("max_episode_steps", steps)


def check_batch_arguments(context: Any, disable_env_checker: Any, options: Mapping[str, Any]) -> None:
    """Check what `make_vector` takes beside the options that either kind of batch checks.

    Args:
        context: Start method of processes.
        disable_env_checker: What `gym.make` takes by this name.
        options: The remaining arguments, which must be options of `DMLabEnv`.

    Raises:
        ValueError: One is not allowed; the sentence names it.
    """
    methods = multiprocessing.get_all_start_methods()
    if context is not None and context not in methods:
        raise ValueError(f"context must be None or one of {', '.join(map(repr, methods))}, got {context!r}.")
    if disable_env_checker is not None and not flag("disable_env_checker", disable_env_checker):
        raise ValueError(
            f"disable_env_checker must be None or True for a batch, got {disable_env_checker!r}: only "
            "vectorization_mode='sync' and 'async' "
            "have a checker."
        )
    known = [name for name in inspect.signature(DMLabEnv).parameters if name not in ("level", "engine")]
    for name in options:
        if name not in known:
            raise ValueError(
                f"A batch of environments has no option {name!r}: expected level, engine or one of {', '.join(known)}."
            )


def reset_seeds(seed: Any, num_envs: int) -> list[int | None]:
    """Give every environment the seed of its stream, None where the stream goes on.

    Args:
        seed: None, a number for `seed + i`, or a list of one (or None) for each.
        num_envs: Number of environments.

    Raises:
        ValueError: It is something else.
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
    """Check the mask of a reset and copy it, None for all environments.

    Raises:
        ValueError: It is something else than None or an (N,) bool array with a true value.
    """
    if given is None:
        return None
    if not isinstance(given, np.ndarray) or given.shape != (num_envs,) or given.dtype != np.bool_ or not given.any():
        raise ValueError(
            f"options['reset_mask'] must be a bool array of shape ({num_envs},) with a true value, got {given!r}."
        )
    return given.copy()
