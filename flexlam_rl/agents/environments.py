"""Environments of any domain for players: batches and single ones, and the lengths and seeds of episodes."""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym

from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.observations import FRAME, WORDS
from flexlam_rl.envs.seeds import SEED_LIMIT, episode_stream
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.utils.progress import lasting_bar


def make_batch(
    spec: EnvSpec,
    tasks: Sequence[str],
    evaluation: bool = False,
    *,
    frames: bool = True,
    words: bool = True,
    copy: bool = True,
    threads: int | None = None,
    further: Sequence[str] = (),
) -> gym.vector.VectorEnv[Any, Any, Any]:
    """Make a batch that `play_episodes` can play on, one environment per task.

    Args:
        spec: Record of the environments: how they are shown and controlled.
        tasks: Name of each environment's task.
        evaluation: Whether to play held-out episodes.
        frames: Whether the policy looks at frames; if not, they are not drawn.
        words: Whether the policy reads instructions, where there are any.
        copy: Whether observations are fresh arrays; if not, the next step may overwrite them.
        threads: Number of threads of a batch in this process; None for one per core.
        further: Names of further observations of DMLab, besides frames and instructions.
    """
    domain = find_domain(spec.domain)
    told = words and any(domain.task(task).words for task in tasks)
    own: dict[str, Any] = {"copy": copy, "threads": threads} if spec.domain == "dmlab" else {}
    own |= _observed(further, frames, told)
    return domain.make_vec(list(tasks), spec, evaluation, frames, told, **own)


def make_single(
    spec: EnvSpec, task: str, evaluation: bool = False, *, frames: bool = True, further: Sequence[str] = ()
) -> gym.Env[Any, Any]:
    """Make one environment that `play_episodes` can play on, from the arguments of `make_batch`."""
    domain = find_domain(spec.domain)
    words = domain.task(task).words
    return domain.make(task, spec, evaluation, frames, words, **_observed(further, frames, words))


def _observed(further: Sequence[str], frames: bool, words: bool) -> dict[str, Any]:
    """Return the option that asks for further observations."""
    if not further:
        return {}
    return {"observations": (*([FRAME] if frames else []), *([WORDS] if words else []), *further)}


def episode_steps(spec: EnvSpec, task: str) -> int:
    """Return the number of agent steps of an episode that runs until the time is up.

    Raises:
        ValueError: There is no such task, or its episodes have no limit of steps.
    """
    length = find_domain(spec.domain).task(task).steps(spec.frame_skip)
    if length is None:
        raise ValueError(f"Episodes of {task!r} have no limit of steps; expected a task whose episodes end.")
    return length


def engine_version(spec: EnvSpec) -> str:
    """Return the version of the engine that simulates a record's tasks, or "" where it is not known."""
    if spec.engine == "litelab":
        from flexlam_rl import __version__

        return __version__
    tell = getattr(find_domain(spec.domain), "engine_version", None)
    return "" if tell is None else str(tell())


def at_once(spec: EnvSpec) -> int | None:
    """Return the largest number of environments that is worth starting in one batch, or None for no limit.

    The limit is the domain's attribute `at_once`.
    """
    limit: int | None = getattr(find_domain(spec.domain), "at_once", None)
    return limit


def compile_first(spec: EnvSpec, console: Any) -> None:
    """Compile litelab with a progress bar, if the record's engine is litelab and it is not compiled yet.

    Args:
        spec: The resolved record.
        console: Console of rich, on which the bar is shown.
    """
    if spec.engine != "litelab":
        return
    from flexlam_rl.envs.litelab.compiling import compile_all, is_compiled

    if not is_compiled():
        console.print("The first run compiles litelab, which takes minutes; later runs start at once.")
        with lasting_bar("compiling litelab", console) as report:
            compile_all(report)


def evaluation_seed(seed: int) -> int:
    """Return the seed of the episode that `reset(seed=seed)` begins in an environment with `evaluation=True`."""
    return int(episode_stream(seed, True).integers(SEED_LIMIT))
