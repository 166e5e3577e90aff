"""How far a suite is: bars on a terminal, a line now and then elsewhere, both with an estimate of what is left."""

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from flexlam_rl.eval.videos import Videos
from flexlam_rl.eval.waves import Job, Scene

EVERY = 30.0
"""Seconds between two lines."""


class Progress(Videos):
    """Watches a suite: shows how far it is, and writes videos where a folder is given.

    Args:
        jobs: What is to be played.
        scene: Tells how long episodes can be.
        console: rich's.
        videos: Folder of videos, None for none.
    """

    def __init__(self, jobs: Sequence[Job], scene: Scene, console: Any, videos: Path | None = None) -> None:
        super().__init__(videos)
        self._scene, self._count = scene, len(jobs)
        self._total = sum(scene.steps(job.level) for job in jobs)
        self._done = self._steps = self._finished = 0
        self._began = self._told = time.monotonic()
        self._bar: Any = None
        if console.is_terminal:
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
            self._bar = Bars(*columns, console=console, transient=True, speed_estimate_period=120)
            self._task = self._bar.add_task(self._words(), total=self._total)

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def stepped(self, playing: int) -> None:
        """So many environments have made a step."""
        self._steps += playing
        if self._bar:
            self._bar.update(self._task, completed=self._steps)
        elif time.monotonic() - self._told > EVERY:
            self._told = time.monotonic()
            left = (self._told - self._began) / self._steps * (self._total - self._steps)
            print(f"suite: {self._words()}, {100 * self._steps / self._total:.0f} % of the steps, about {left / 60:.1f} min left", flush=True)

    def finished(self, job: Job, steps: int) -> None:
        """An episode has ended; one that ended early leaves less to do."""
        self._done += 1
        self._total -= self._scene.steps(job.level) - steps
        if self._bar:
            self._bar.update(self._task, description=self._words(), total=self._total)
        self.ended(job)

    def _words(self) -> str:
        return f"{self._done}/{self._count} episodes"
