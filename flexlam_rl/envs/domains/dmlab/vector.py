"""`make_vector`, the function behind `gym.make_vec`: litelab worlds in one process, or processes of the real engine."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers import TimeLimit

from flexlam_rl.envs import batch_options
from flexlam_rl.envs.checks import flag
from flexlam_rl.envs.domains.dmlab import batch_options as given_options
from flexlam_rl.envs.domains.dmlab.batch import DMLabVectorEnv
from flexlam_rl.envs.domains.dmlab.env import DMLabEnv
from flexlam_rl.envs.domains.dmlab.levels import DEFAULT_LEVEL
from flexlam_rl.envs.domains.dmlab.options import choose_engine
from flexlam_rl.envs.episodes import make_batch

__all__ = ["DMLabVectorEnv", "make_vector"]


def make_vector(
    num_envs: int = 1,
    level: str | Sequence[str] = DEFAULT_LEVEL,
    engine: str = "auto",
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    copy: bool = True,
    threads: int | None = None,
    context: str | None = None,
    max_episode_steps: int | None = None,
    disable_env_checker: bool | None = None,
    **options: Any,
) -> VectorEnv:
    """Make a batch: a `DMLabVectorEnv` on litelab, or one process of `DMLabEnv` per environment on the real engine.

    Args:
        num_envs: Number of environments.
        level: One level for all environments, or a list with one per environment.
        engine: As for `DMLabEnv`.
        autoreset_mode: NEXT_STEP, SAME_STEP or DISABLED, as Gymnasium's enum or its value.
        copy: Whether observations are new arrays; if False, the next step overwrites them.
        threads: Number of threads on litelab; None for one per core. The real engine uses processes instead.
        context: Start method of the real engine's processes; None for Python's default.
        max_episode_steps: Steps after which an episode is truncated; None or -1 for the level's own time limit only.
        disable_env_checker: True or None, because batches have no checker.
        **options: The other options of `DMLabEnv`.

    Raises:
        ValueError: An option is not allowed; the message names it.
    """
    levels = given_options.spread_levels(level, num_envs)
    mode, copy = batch_options.reset_mode(autoreset_mode), flag("copy", copy)
    threads, limit = given_options.thread_count(threads), batch_options.step_limit(max_episode_steps)
    given_options.check_batch_arguments(context, disable_env_checker, options)
    chosen = choose_engine(engine)
    if chosen == "litelab":
        return DMLabVectorEnv(
            levels, autoreset_mode=mode, copy=copy, threads=threads, max_episode_steps=limit, **options
        )
    makers = [partial(_make_single, limit, level=name, engine=chosen, **options) for name in levels]
    return make_batch(makers, processes=True, copy=copy, context=context, autoreset_mode=mode)


def _make_single(limit: int | None, **options: Any) -> gym.Env[Any, Any]:
    env = DMLabEnv(**options)
    return env if limit is None else TimeLimit(env, limit)
