"""Episodes with seeds for any Gymnasium environment, single or in batches.

Two rules hold in every domain: `reset(options={"episode_seed": s})` replays the episode that had `episode_seed` s in
its info, and `info["map_reset"]` marks a frame that does not follow from the one before. `SeededEpisodes` adds both to
environments that have only Gymnasium's `reset(seed=s)`. `make_batch` makes a batch of any environments, in which
`reset(options={"reset_mask": mask, "episode_seeds": seeds})` begins the episodes of these seeds.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import iterate

from flexlam_rl.envs.seeds import SEED_LIMIT, episode_seed, episode_seeds, episode_stream, stream_seed
from flexlam_rl.utils.startup import interrupts_held

_MOST_THREADS = 8  # threads that wait for simulators; with ViZDoom, more were measured to be no faster


class SeededEpisodes(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Draws a seed for every episode from a stream, as `DMLabEnv` does, and passes it to the environment's `reset`.

    Args:
        env: An environment whose episodes depend only on the seed of the reset.
        evaluation: Draw from the held-out stream of seeds, which training never uses.
    """

    def __init__(self, env: gym.Env[Any, Any], evaluation: bool = False) -> None:
        RecordConstructorArgs.__init__(self, evaluation=evaluation)
        gym.Wrapper.__init__(self, env)
        self.evaluation = evaluation
        self._stream: np.random.Generator | None = None
        self._seed = -1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode: by default, the next one of the stream.

        Args:
            seed: Starts the stream anew; None continues it.
            options: `episode_seed`, an integer in [0, 2**31), chooses the episode without advancing the stream. Other
                options are passed to the environment.

        Raises:
            ValueError: The seed is not allowed.
        """
        rest = dict(options or {})
        given = rest.pop("episode_seed", None)
        chosen = None if given is None else episode_seed(given)
        begin = stream_seed(seed)
        if begin is not None or self._stream is None:
            entropy: Any = np.random.SeedSequence().entropy if begin is None else begin
            self._stream = episode_stream(int(entropy), self.evaluation)
        self._seed = int(self._stream.integers(SEED_LIMIT)) if chosen is None else chosen
        observation, info = self.env.reset(seed=self._seed, options=rest or None)
        return observation, self._told(info)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment; `episode_seed` and `map_reset` are added to its info."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, self._told(info)

    def _told(self, info: dict[str, Any]) -> dict[str, Any]:
        return {"map_reset": False, **info, "episode_seed": self._seed}


class OneOfBatch(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Picks the environment's own entry from the `episode_seeds` with which a batch is reset.

    Gymnasium's batches pass the whole list to each of their environments.

    Args:
        env: An environment that accepts the reset option `episode_seed`.
        i: Number of the environment in the batch.
        num_envs: Number of environments in the batch.
    """

    def __init__(self, env: gym.Env[Any, Any], i: int, num_envs: int) -> None:
        RecordConstructorArgs.__init__(self, i=i, num_envs=num_envs)
        gym.Wrapper.__init__(self, env)
        self._i, self._num_envs = i, num_envs

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin the episode of entry `i` of `options["episode_seeds"]`; if that is None, the next one of the stream.

        Raises:
            ValueError: There is not one seed per environment, a seed is not allowed, or `episode_seed` is given too.
        """
        if options is not None and "episode_seeds" in options:
            chosen = episode_seeds(options, np.array([self._i]), self._num_envs)[self._i]
            options = {name: value for name, value in options.items() if name not in ("episode_seed", "episode_seeds")}
            if chosen is not None:
                options["episode_seed"] = chosen
        return self.env.reset(seed=seed, options=options)


class _Ahead(gym.Wrapper[Any, Any, Any, Any]):
    """Returns the result of a step that was started earlier, in `coming`."""

    coming: Future[Any] | None = None

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        coming, self.coming = self.coming, None
        return self.env.step(action) if coming is None else coming.result()


class ThreadVectorEnv(SyncVectorEnv):
    """A `SyncVectorEnv` whose environments step at the same time in threads, if autoreset is disabled.

    Args:
        env_fns, copy, autoreset_mode: As for `SyncVectorEnv`.
    """

    def __init__(self, env_fns: Sequence[Callable[[], gym.Env[Any, Any]]], **options: Any) -> None:
        super().__init__([partial(_ahead, make) for make in env_fns], **options)
        self._pool = ThreadPoolExecutor(min(self.num_envs, _MOST_THREADS))

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step all environments."""
        if self.autoreset_mode is AutoresetMode.DISABLED:
            for env, action in zip(self.envs, iterate(self.action_space, actions), strict=True):
                env.coming = self._pool.submit(env.env.step, action)  # type: ignore[attr-defined]
            # wait for all before raising an error of one: closing an environment while it steps ends the process
            wait([env.coming for env in self.envs])  # type: ignore[attr-defined]
        return super().step(actions)

    def close_extras(self, **kwargs: Any) -> None:
        """Wait for running steps, stop the threads and close the environments."""
        self._pool.shutdown()
        super().close_extras(**kwargs)


def _ahead(make: Callable[[], gym.Env[Any, Any]]) -> gym.Env[Any, Any]:
    return _Ahead(make())


def make_batch(
    makers: Sequence[Callable[[], gym.Env[Any, Any]]],
    processes: bool = False,
    copy: bool = True,
    context: str | None = None,
    autoreset_mode: AutoresetMode = AutoresetMode.DISABLED,
    threads: bool = False,
) -> VectorEnv[Any, Any, Any]:
    """Make a batch of environments that accepts `episode_seeds` at a reset.

    Args:
        makers: Functions that each make one environment, which accepts the reset option `episode_seed`
            (`SeededEpisodes`, `DMLabEnv`).
        processes: Whether each environment gets its own process; else they step one after the other in this one.
        copy: Whether observations are new arrays; if False, the next step overwrites them.
        context: Start method of processes; None for Python's default.
        autoreset_mode: What happens at the end of an episode; DISABLED waits for a reset by mask.
        threads: Step each environment in a thread of this process, for simulators that release the GIL while they run.
    """
    each = [partial(_numbered, maker, i, len(makers)) for i, maker in enumerate(makers)]
    if not processes:
        kind = ThreadVectorEnv if threads else SyncVectorEnv
        return kind(each, copy=copy, autoreset_mode=autoreset_mode)
    with interrupts_held():  # only this process handles Ctrl-C, and it closes the others
        return AsyncVectorEnv(each, copy=copy, context=context, autoreset_mode=autoreset_mode)


def _numbered(maker: Callable[[], gym.Env[Any, Any]], i: int, num_envs: int) -> gym.Env[Any, Any]:
    return OneOfBatch(maker(), i, num_envs)


def map_resets(infos: Mapping[str, Any], num_envs: int) -> np.ndarray:
    """Read from a batch's infos where the map has just restarted, (N,) bool; all False in worlds without restarts."""
    known = infos.get("map_reset")
    return np.zeros(num_envs, np.bool_) if known is None else np.asarray(known, np.bool_)
