"""Playing episodes in this process on all cores, in several processes, or on a Ray cluster, with the same results."""

import contextlib
import importlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import partial
from typing import Any, Protocol

import numpy as np

from flexlam_rl.agents.collection.perturb import Perturbed
from flexlam_rl.agents.collection.schedule import Settings, episode_seeds
from flexlam_rl.agents.environments import at_once, episode_steps, make_batch, make_single
from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.recorders import Tape
from flexlam_rl.agents.rollout import Start, in_order, play_episodes
from flexlam_rl.agents.watchers import Counter
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.utils.startup import interrupts_held

EXECUTORS = ("native", "processes", "ray")
OnSteps = Callable[[int], None]


def play_here(
    settings: Settings,
    task: str,
    split: str,
    begin: Callable[[], int | None],
    num_envs: int,
    threads: int | None = None,
    on_steps: OnSteps | None = None,
) -> Iterator[tuple[int, Episode]]:
    """Play episodes on a batch in this process.

    Args:
        settings: Who plays, and how the task is shown and controlled.
        task: Name of the task.
        split: "train" or "test".
        begin: Returns the number of the next episode to begin, or None for none.
        num_envs: Number of environments.
        threads: Number of threads; None for one per core.
        on_steps: Called with the number of steps played since the last call.

    Yields:
        The number of each episode that ended, and the episode.
    """

    def numbered(_: int) -> Start | None:
        key = begin()
        return None if key is None else _start(settings, task, split, key)

    env = make_batch(settings.spec, [task] * num_envs, copy=False, threads=threads, further=_observed(settings))
    try:
        policy = _player(settings, env)
        watchers = () if on_steps is None else (Counter(on_steps),)
        yield from play_episodes(env, policy, numbered, _tape(settings, task), watchers=watchers)
    finally:
        env.close()


def _player(settings: Settings, env: Any) -> Any:
    expert = make_expert(settings.expert, env, settings.temperature, settings.seed)
    return Perturbed(expert, env, settings.perturb, settings.seed) if settings.perturb else expert


def _start(settings: Settings, task: str, split: str, key: int) -> Start:
    return Start(key, int(episode_seeds(settings.seed, task, split, [key])[0]))


def _tape(settings: Settings, task: str) -> Callable[..., Tape]:
    length, marked = episode_steps(settings.spec, task), settings.perturb > 0
    return partial(Tape, length=length, marked=marked, further=settings.further, last=settings.last)


def _observed(settings: Settings) -> list[str]:
    """Return the names of the observations that further columns come from."""
    return list(dict.fromkeys(column.observation for column in settings.further))


def play_keys(settings: Settings, task: str, split: str, keys: list[int]) -> list[Episode]:
    """Play episodes on one core. This is what processes and Ray's workers run.

    Args:
        settings: Who plays, and how the task is shown and controlled.
        task: Name of the task.
        split: "train" or "test".
        keys: Numbers of the episodes.

    Returns:
        The episodes, in the order in which they ended.
    """
    if settings.spec.engine != "deepmind_lab":
        queue = iter(keys)
        played = play_here(settings, task, split, lambda: next(queue, None), len(keys), threads=1)
    else:
        env, policy = _single(settings, task)
        starts = [_start(settings, task, split, key) for key in keys]
        played = play_episodes(env, policy, in_order(starts), _tape(settings, task))
    return [episode for _, episode in played]


_open: dict[str, Any] = {}


def _single(settings: Settings, task: str) -> tuple[Any, Any]:
    """Return this process's environment and player; they are kept because the real engine takes seconds to start."""
    if _open.get("what") != (settings, task):
        if "env" in _open:
            _open["env"].close()
        env = make_single(settings.spec, task, further=_observed(settings))
        policy = _player(settings, env)
        _open.update(what=(settings, task), env=env, policy=policy)
    return _open["env"], _open["policy"]


class Workers(Protocol):
    """Workers that run `play_keys` outside this process."""

    count: int

    def submit(self, *arguments: Any) -> None:
        """Start a task."""

    def results(self) -> list[list[Episode]]:
        """Wait until at least one task is done, and return the results of all that are."""

    def close(self) -> None:
        """Give up tasks that are not done."""


def _quiet_worker(parent: int) -> None:
    """Make a worker leave Ctrl-C to its parent, and end when its parent has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        _remove_scratch("remove_all")
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _remove_scratch(how: str) -> None:
    """Remove temporary files of the real engine, where it is in use."""
    with contextlib.suppress(ImportError):  # systems without file locks do not have the real engine
        getattr(importlib.import_module("flexlam_rl.envs.domains.dmlab.scratch"), how)()


class Processes:
    """Processes of this machine."""

    def __init__(self, count: int) -> None:
        self.count = count
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, mp_context=context, initializer=_quiet_worker, initargs=(os.getpid(),))
        self._running: set[Future[list[Episode]]] = set()

    def submit(self, *arguments: Any) -> None:
        """Start a task."""
        with interrupts_held():  # a process that is still starting does not ignore Ctrl-C yet
            self._running.add(self._pool.submit(play_keys, *arguments))

    def results(self) -> list[list[Episode]]:
        """Wait until at least one task is done, and return the results of all that are."""
        done, self._running = wait(self._running, return_when=FIRST_COMPLETED)
        return [future.result() for future in done]

    def close(self) -> None:
        """End the processes; tasks that are not done are given up."""
        running = list((getattr(self._pool, "_processes", None) or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in running:
            with contextlib.suppress(OSError, ValueError):
                process.terminate()
        for process in running:
            process.join()
        _remove_scratch("sweep")


class Ray:
    """Workers of a Ray cluster, or of this machine without a cluster.

    Args:
        count: Number of tasks at a time; None for the number of the cluster's CPUs.
        address: Address of the cluster; None starts one on this machine.

    Raises:
        ImportError: Ray is not installed.
    """

    def __init__(self, count: int | None = None, address: str | None = None) -> None:
        try:
            import ray
        except ImportError:
            raise ImportError(
                "--executor ray needs Ray, which is not installed: pip install 'flexlam_rl[ray]'."
            ) from None
        self._ray = ray
        self._mine = not ray.is_initialized()
        if self._mine:
            ray.init(
                address=address,
                num_cpus=None if address else count,
                include_dashboard=None if address else False,
                log_to_driver=False,
            )
        self.count = count or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._task = ray.remote(num_cpus=1)(play_keys)
        self._running: list[Any] = []

    def submit(self, *arguments: Any) -> None:
        """Start a task."""
        self._running.append(self._task.remote(*arguments))

    def results(self) -> list[list[Episode]]:
        """Wait until at least one task is done, and return the results of all that are."""
        done, self._running = self._ray.wait(self._running, num_returns=1)
        return [self._ray.get(reference) for reference in done]

    def close(self) -> None:
        """Cancel tasks that are not done, and end Ray if it was started here."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        if self._mine:
            self._ray.shutdown()


def play_elsewhere(
    workers: Workers, settings: Settings, task: str, split: str, begin: Callable[[], int | None], together: int
) -> Iterator[tuple[int, Episode]]:
    """Play episodes on workers.

    Args:
        workers: The workers.
        settings: Who plays, and how the task is shown and controlled.
        task: Name of the task.
        split: "train" or "test".
        begin: Returns the number of the next episode to begin, or None for none.
        together: Number of episodes per task of a worker.

    Yields:
        The number of each episode that ended, and the episode.
    """
    running = 0
    while True:
        while running < workers.count + 1:  # one more, so that no worker waits
            keys = [key for key in (begin() for _ in range(together)) if key is not None]
            if not keys:
                break
            workers.submit(settings, task, split, keys)
            running += 1
        if not running:
            return
        for episodes in workers.results():
            running -= 1
            for episode in episodes:
                yield episode.key, episode


def spread(episodes: int, at_once: int) -> int:
    """Return the smallest number of environments that plays `episodes` in as few rounds as `at_once` of them would."""
    rounds = -(-episodes // at_once)
    return max(1, -(-episodes // max(1, rounds)))


def default_envs(spec: EnvSpec, task: str, cores: int) -> int:
    """Return the number of environments of a batch: enough to fill the cores, and few enough that unfinished episodes
    take a few GiB at most.
    """
    memory = int(4 * 2**30 / (episode_steps(spec, task) * spec.height * spec.width * 3))
    many = int(np.clip(16 * cores, 1, max(2 * cores, memory)))
    return min(many, at_once(spec) or many)
