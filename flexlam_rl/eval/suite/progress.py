"""Progress of a suite: bars on a terminal, lines now and then elsewhere, both with an estimate of the time left."""

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from flexlam_rl.agents.environments import episode_steps
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.eval.suite.batches import Job
from flexlam_rl.eval.suite.videos import Videos

EVERY, RATE, MOST = 8.0, 0.02, 60.0
"""Time between two lines: smallest number of seconds, share of the time so far, and largest number of seconds."""


class Remaining:
    """Estimates how long a suite will still play.

    A batch plays as long as its longest episode, and a round takes about as long for few environments as for many.
    Therefore both rounds and the steps of single environments are counted, and the larger estimate is used.

    Args:
        batches: The episodes, in the order of play.
        spec: Record of the tasks, which gives the length of episodes.
    """

    def __init__(self, batches: Sequence[Sequence[Job]], spec: EnvSpec) -> None:
        self._spec = spec
        self._open = [set(batch) for batch in batches]
        self.total = sum(self._length(job) for batch in batches for job in batch)
        """Number of steps of all environments, as far as it is known."""
        self.steps = 0
        """Number of steps that were taken."""
        self._rounds = self._in_batch = 0
        self._first: tuple[float, int, int] | None = None
        self.replaying = False
        """Whether rounds are played again after a stop, which is much faster than new ones."""

    def _length(self, job: Job) -> int:
        return episode_steps(self._spec, job.level)

    def stepped(self, playing: int, now: float) -> None:
        """Count a round in which `playing` environments took a step, at the time `now` in seconds."""
        self.steps += playing
        self._rounds += 1
        self._in_batch += 1
        if self._first is None or self.replaying:  # the time before was spent on starting and compiling, once
            self._first = (now, self.steps, self._rounds)

    def finished(self, job: Job, steps: int) -> None:
        """Count the end of an episode; one that ended early leaves fewer steps."""
        self.total -= self._length(job) - steps
        self._open[0].discard(job)
        if not self._open[0] and len(self._open) > 1:
            self._open.pop(0)
            self._in_batch = 0

    def seconds(self, now: float) -> float | None:
        """Return the seconds left at the time `now`; None while nothing is known."""
        if self._first is None or self._rounds == self._first[2]:
            return None
        began, steps, rounds = self._first
        longest = [max((self._length(job) for job in batch), default=0) for batch in self._open]
        rounds_left = max(0, sum(longest) - self._in_batch)
        shares = (rounds_left / (self._rounds - rounds), (self.total - self.steps) / max(1, self.steps - steps))
        return (now - began) * max(shares)


class Progress(Videos):
    """Watches a suite: shows its progress, and writes videos if a folder is given.

    Args:
        batches: The episodes, in the order of play.
        spec: Record of the tasks, which gives the length of episodes.
        console: Console of rich.
        videos: Folder of videos; None for no videos.
    """

    def __init__(
        self, batches: Sequence[Sequence[Job]], spec: EnvSpec, console: Any, videos: Path | None = None
    ) -> None:
        super().__init__(videos)
        self._count, self._done = sum(map(len, batches)), 0
        self._remaining = Remaining(batches, spec)
        self._began = self._told = time.monotonic()
        self._bar: Any = None
        if console.is_terminal:
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bars

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}"),
            )
            self._bar = Bars(*columns, console=console, transient=True)
            self._task = self._bar.add_task(self._words(), total=self._remaining.total, left="")

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        else:  # the first steps may take seconds, and a line is due by then
            print(f"suite: {self._words()}, starting", flush=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def stepped(self, playing: int) -> None:
        """Show the progress, if it is time to."""
        now, remaining = time.monotonic(), self._remaining
        remaining.stepped(playing, now)
        pause = min(MOST, max(EVERY, RATE * (now - self._began)))
        if now - self._told <= (1.0 if self._bar else pause):
            return
        self._told = now
        left = self._left(now)
        if self._bar:
            self._bar.update(self._task, completed=remaining.steps, total=remaining.total, left=left)
        else:
            share = 100 * remaining.steps / remaining.total
            print(f"suite: {self._words()}, {share:.0f} % of the steps{', ' if left else ''}{left}", flush=True)

    def replays(self, on: bool) -> None:
        """Exclude steps that are played again from the estimate."""
        self._remaining.replaying = on

    def finished(self, job: Job, steps: int) -> None:
        """Count the end of an episode, and write its video."""
        self._done += 1
        self._remaining.finished(job, steps)
        if self._bar:
            self._bar.update(self._task, description=self._words())
        self.ended(job)

    def _left(self, now: float) -> str:
        seconds = self._remaining.seconds(now)
        if self._remaining.replaying:
            return "finding the place again"
        return "" if seconds is None else f"about {seconds / 60:.1f} min left"

    def _words(self) -> str:
        return f"{self._done}/{self._count} episodes"
