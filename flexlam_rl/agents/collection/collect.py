"""Collecting rollouts: episodes are stored as they end, and a killed collection continues."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flexlam_rl.agents.collection.perturb import MOST
from flexlam_rl.agents.collection.schedule import SPLITS, Schedule, Settings
from flexlam_rl.agents.collection.workers import (
    EXECUTORS,
    Processes,
    Ray,
    Workers,
    default_envs,
    play_elsewhere,
    play_here,
    spread,
)
from flexlam_rl.agents.engine_choice import check_look, expert_engine
from flexlam_rl.agents.environments import episode_steps
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.marks import EXPERT_CHOSE
from flexlam_rl.datasets.writer import RolloutWriter
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.litelab.pool import core_count
from flexlam_rl.utils.errors import StoreError


@dataclass(frozen=True)
class Job:
    """What to collect, and where to play it.

    Attributes:
        levels: Names of the levels.
        split: "train" or "test".
        steps: Number of steps per level, including those already stored.
        out: Folder of the collection.
        with_actions: Whether to store actions; False stores action-free video.
        executor: "native" (litelab in this process), "processes" or "ray".
        num_envs: Number of environments that play at once; None to choose it.
        workers: Number of workers of "processes" and "ray"; None for one per core.
        ray_address: Address of a Ray cluster; None for a local one.
        layout: Settings of new stores: chunk, shard, codec, compression.
    """

    levels: Sequence[str]
    split: str
    steps: int
    out: Path
    with_actions: bool = True
    executor: str = "native"
    num_envs: int | None = None
    workers: int | None = None
    ray_address: str | None = None
    layout: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Done:
    """Result of collecting a level: all episodes and steps in the store, the new ones, and the seconds that it took."""

    level: str
    episodes: int
    steps: int
    new_episodes: int
    new_steps: int
    seconds: float


class Storing:
    """Appends episodes to a store in a thread of its own, so that playing goes on meanwhile.

    Args:
        writer: Writer of the store.
        room: Number of episodes that may wait; `put` blocks while as many wait.
    """

    def __init__(self, writer: RolloutWriter, room: int) -> None:
        self.writer = writer
        self._queue: queue.Queue[Episode | None] = queue.Queue(max(1, room))
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="rollout-writer", daemon=False)
        self._thread.start()

    def put(self, episode: Episode) -> None:
        """Hand over an episode.

        Raises:
            Exception: The error that storing an earlier episode raised.
        """
        if self._error is not None:
            raise self._error
        self._queue.put(episode)

    def close(self) -> None:
        """Wait until everything handed over is stored.

        Raises:
            Exception: The error that storing raised.
        """
        self._queue.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        over = False
        while not over:
            batch = [self._queue.get()]
            time.sleep(0.02)  # episodes of equal length end together: wait for the others
            # one commit for all that wait: a shard is then written once, not once per episode
            while len(batch) < 64 and batch[-1] is not None:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            over = batch[-1] is None
            if self._error is None:  # after an error, the queue is only emptied, so that `put` does not block
                try:
                    self.writer.append_episodes([episode for episode in batch if episode is not None])
                except BaseException as error:
                    self._error = error


def check(settings: Settings, job: Job) -> None:
    """Check the settings and the job before anything is written.

    Raises:
        ValueError: A value is out of range, or the executor cannot play on the engine.
    """
    domain = find_domain(settings.spec.domain)
    for task in job.levels:
        domain.task(task)
    if job.split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(map(repr, SPLITS))}, got {job.split!r}.")
    if job.executor not in EXECUTORS:
        raise ValueError(f"executor must be one of {', '.join(map(repr, EXECUTORS))}, got {job.executor!r}.")
    for name in ("steps", "num_envs", "workers"):
        value = getattr(job, name)
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")
    if settings.seed < 0:
        raise ValueError(f"seed must be at least 0, got {settings.seed}.")
    if settings.temperature < 0:
        raise ValueError(f"temperature must be at least 0, got {settings.temperature}.")
    if settings.perturb and not 0 < settings.perturb <= MOST:
        raise ValueError(f"perturb must be 0, or a share of random steps up to {MOST}, got {settings.perturb}.")
    if settings.spec.engine == "deepmind_lab":
        expert_engine(settings.spec.engine, settings.expert, "another --expert")
        check_look(settings.spec.engine, settings.spec.textures)
        if job.executor == "native":
            raise ValueError("executor 'native' is litelab's batch: the real engine needs 'processes' or 'ray'.")


def collect(
    settings: Settings,
    job: Job,
    on_steps: Callable[[str, int], None] | None = None,
    on_level: Callable[[Done], None] | None = None,
) -> list[Done]:
    """Collect rollouts. After an interruption, a call with the same arguments continues.

    Args:
        settings: Who plays, and how tasks are shown and controlled.
        job: What to collect.
        on_steps: Called with the level and the number of steps played since the last call.
        on_level: Called with the result of each level that is complete.

    Returns:
        One result per level.

    Raises:
        StoreError: A folder holds other data (another seed, expert, action set, ...), or another process is writing to
            it.
        ValueError: `check` refuses the settings or the job.
    """
    check(settings, job)
    results = []
    with ExitStack() as stack:
        workers: Workers | None = None
        if job.executor != "native":
            workers = (
                Ray(job.workers, job.ray_address) if job.executor == "ray" else Processes(job.workers or core_count())
            )
            stack.callback(workers.close)
        for level in job.levels:
            results.append(_collect_level(settings, job, level, workers, on_steps))
            if on_level is not None:
                on_level(results[-1])
    return results


def _collect_level(
    settings: Settings, job: Job, level: str, workers: Workers | None, on_steps: Callable[[str, int], None] | None
) -> Done:
    begun = time.monotonic()
    told = (lambda count: on_steps(level, count)) if on_steps is not None else (lambda count: None)
    extra: dict[str, Any] = {EXPERT_CHOSE: ("bool", ())} if settings.perturb else {}
    extra |= {column.name: (column.dtype, column.row) for column in settings.further}
    # rewards of DeepMind Lab are whole numbers and halves; those of other worlds may be any number
    layout = {"reward": "float32" if settings.spec.domain == "dmlab" else "float64", **dict(job.layout)}
    with RolloutWriter(job.out, level, job.split, settings.origin(level), job.with_actions, extra, **layout) as writer:
        episodes, steps = writer.episodes, writer.steps
        if writer.keys != set(range(episodes)):
            raise StoreError(
                f"{writer.path} was not made by a collection: its episodes are not numbered 0 to {episodes - 1}; use "
                "another folder."
            )
        told(min(steps, job.steps))
        terminates = find_domain(settings.spec.domain).task(level).terminates
        schedule = Schedule(job.steps, episode_steps(settings.spec, level), terminates, episodes, steps)
        if not schedule.complete:
            cores = workers.count if workers is not None else core_count()
            at_once = job.num_envs or default_envs(settings.spec, level, cores)
            if workers is None:
                n = spread(schedule.remaining, at_once)
                played = play_here(settings, level, job.split, schedule.begin, n, on_steps=told)
            else:
                alone = settings.spec.engine == "deepmind_lab"
                together = 1 if alone else max(1, spread(schedule.remaining, at_once) // workers.count)
                played = play_elsewhere(workers, settings, level, job.split, schedule.begin, together)
            storing = Storing(writer, at_once)
            try:
                for key, episode in played:
                    if workers is not None:
                        told(episode.length)
                    for ready in schedule.finish(key, episode):
                        storing.put(ready)
                    if schedule.complete:
                        break
            finally:
                played.close()  # type: ignore[attr-defined]
                storing.close()
        return Done(
            level,
            writer.episodes,
            writer.steps,
            writer.episodes - episodes,
            writer.steps - steps,
            time.monotonic() - begun,
        )
