"""Numbered episodes of any Gymnasium environment, alone and in batches.

Two rules hold in every domain: `reset(options={"episode_seed": s})` plays the episode that had `s` as `episode_seed` in
its info, and `info["map_reset"]` marks a frame that does not follow from the one before. Environments that know only
Gymnasium's `reset(seed=s)` get them from `SeededEpisodes`; `make_batch` makes a batch of any environments, in which
`reset(options={"reset_mask": mask, "episode_seeds": seeds})` begins the episodes that it names.
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

_MOST_THREADS = 8  # that wait for simulators; more are no faster, measured with ViZDoom


class SeededEpisodes(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Draws a seed for every episode from a stream, as `DMLabEnv` does, and hands it to the environment's own `reset`.

    Args:
        env: An environment whose episode depends on the seed of its reset alone.
        evaluation: Draw from the held-out stream of seeds, which training never shares.
    """

    def __init__(self, env: gym.Env[Any, Any], evaluation: bool = False) -> None:
        RecordConstructorArgs.__init__(self, evaluation=evaluation)
        gym.Wrapper.__init__(self, env)
        self.evaluation = evaluation
        self._stream: np.random.Generator | None = None
        self._seed = -1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; without `seed` it is the next of the stream.

        Args:
            seed: Begins the stream anew.
            options: `episode_seed`, an integer in [0, 2**31), names the episode, and the stream stays where it is;
                other options are the environment's.

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
        """Step the environment; its info gets `episode_seed` and `map_reset`."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, self._told(info)

    def _told(self, info: dict[str, Any]) -> dict[str, Any]:
        return {"map_reset": False, **info, "episode_seed": self._seed}


class OneOfBatch(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Takes its own entry of the `episode_seeds` that a batch is reset with, which are handed to each environment.

    Args:
        env: An environment that takes the reset option `episode_seed`.
        i: Its number in the batch.
        num_envs: Number of environments of the batch.
    """

    def __init__(self, env: gym.Env[Any, Any], i: int, num_envs: int) -> None:
        RecordConstructorArgs.__init__(self, i=i, num_envs=num_envs)
        gym.Wrapper.__init__(self, env)
        self._i, self._num_envs = i, num_envs

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, that of entry `i` of `options["episode_seeds"]` unless it is None.

        Raises:
            ValueError: There are more or fewer seeds than environments, one is not allowed, or `episode_seed` is given
                too.
        """
        if options is not None and "episode_seeds" in options:
            chosen = episode_seeds(options, np.array([self._i]), self._num_envs)[self._i]
            options = {name: value for name, value in options.items() if name not in ("episode_seed", "episode_seeds")}
            if chosen is not None:
                options["episode_seed"] = chosen
        return self.env.reset(seed=seed, options=options)


class _Ahead(gym.Wrapper[Any, Any, Any, Any]):
    """Gives the result of a step that has begun already."""

    coming: Future[Any] | None = None

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        coming, self.coming = self.coming, None
        return self.env.step(action) if coming is None else coming.result()


class ThreadVectorEnv(SyncVectorEnv):
    """A `SyncVectorEnv` whose environments step at the same time, in threads, where no autoreset comes between.

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
            # before an error of one is raised: closing another while it steps ends the process
            wait([env.coming for env in self.envs])  # type: ignore[attr-defined]
        return super().step(actions)

    def close_extras(self, **kwargs: Any) -> None:
        """End the threads, once they have stepped, and close the environments."""
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
    """Make a batch of environments that begins episodes by name.

    Args:
        makers: Each makes one environment that takes the reset option `episode_seed` (`SeededEpisodes`, `DMLabEnv`).
        processes: Whether each gets a process of its own, else they step one after the other in this one.
        copy: Whether observations are fresh arrays (else they are overwritten by the next step).
        context: Start method of processes, None for Python's default.
        autoreset_mode: What happens at the end of an episode; DISABLED waits for a reset by mask.
        threads: Whether each steps in a thread of this process: for simulators that leave Python free meanwhile.
    """
    each = [partial(_numbered, maker, i, len(makers)) for i, maker in enumerate(makers)]
    if not processes:
        kind = ThreadVectorEnv if threads else SyncVectorEnv
        return kind(each, copy=copy, autoreset_mode=autoreset_mode)
    with interrupts_held():  # Ctrl-C is this process's affair, which closes the others
        return AsyncVectorEnv(each, copy=copy, context=context, autoreset_mode=autoreset_mode)


def _numbered(maker: Callable[[], gym.Env[Any, Any]], i: int, num_envs: int) -> gym.Env[Any, Any]:
    return OneOfBatch(maker(), i, num_envs)


def map_resets(infos: Mapping[str, Any], num_envs: int) -> np.ndarray:
    """Tell from the infos of a batch, in whose frame the map has restarted: (N,) bool, all False in other worlds."""
    known = infos.get("map_reset")
    return np.zeros(num_envs, np.bool_) if known is None else np.asarray(known, np.bool_)
