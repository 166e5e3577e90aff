"""Checks of the options of batches of DMLab environments."""

import inspect
import multiprocessing
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flexlam_rl.envs.checks import flag, integer
from flexlam_rl.envs.domains.dmlab.env import DMLabEnv


def spread_levels(level: str | Sequence[str], num_envs: int) -> list[str]:
    """Make a list with one level per environment.

    Args:
        level: One level for all environments, or a list with one per environment.
        num_envs: Number of environments.

    Raises:
        ValueError: `num_envs` is below 1, or differs from the length of the list.
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
    """Check a number of threads; None stands for one per core.

    Raises:
        ValueError: It is neither None nor an integer of at least 1.
    """
    return None if threads is None else integer("threads", threads)


def check_batch_arguments(context: Any, disable_env_checker: Any, options: Mapping[str, Any]) -> None:
    """Check the arguments of `make_vector` that no other check covers.

    Args:
        context: Start method of processes.
        disable_env_checker: As for `gym.make`.
        options: The remaining arguments, which must be options of `DMLabEnv`.

    Raises:
        ValueError: An argument is not allowed; the message names it.
    """
    methods = multiprocessing.get_all_start_methods()
    if context is not None and context not in methods:
        raise ValueError(f"context must be None or one of {', '.join(map(repr, methods))}, got {context!r}.")
    if disable_env_checker is not None and not flag("disable_env_checker", disable_env_checker):
        raise ValueError(
            f"disable_env_checker must be None or True for a batch, got {disable_env_checker!r}: only "
            "vectorization_mode='sync' and 'async' have a checker."
        )
    known = [name for name in inspect.signature(DMLabEnv).parameters if name not in ("level", "engine")]
    for name in options:
        if name not in known:
            raise ValueError(
                f"A batch of environments has no option {name!r}: expected level, engine or one of {', '.join(known)}."
            )
