"""How far a stage is, and an estimate of what is left that counts evaluations and saves too."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

WINDOW = 200
"""Latest steps whose mean duration the estimate uses."""


class Pace:
    """Durations of steps, evaluations and saves so far, and what they say of the rest.

    Args:
        steps: Length of the stage.
        intervals: Steps between evaluations and between saves, by name; each also happens after the last step.
        change: Step from which on steps cost more, as where a curriculum grows; None for none.
    """

    def __init__(self, steps: int, intervals: dict[str, int], change: int | None = None) -> None:
        self.steps, self.intervals, self.change = steps, intervals, change
        self.latest: deque[float] = deque(maxlen=WINDOW)
        self.pauses: dict[str, list[float]] = {name: [] for name in intervals}

    def step(self, done: int, seconds: float) -> None:
        """Note how long step number `done` (from 1) took."""
        if self.change is not None and done > self.change:
            # the cheaper steps before it say nothing of those to come
            self.latest.clear()
            self.change = None
        self.latest.append(seconds)

    def pause(self, name: str, seconds: float) -> None:
        """Note how long an evaluation or a save took."""
        self.pauses[name].append(seconds)

    def left(self, done: int) -> tuple[float, bool] | None:
        """Seconds left after step `done`, and whether all kinds of what is to come have been measured; None before a
        first step.
        """
        if not self.latest:
            return None
        seconds = sum(self.latest) / len(self.latest) * (self.steps - done)
        sure = self.change is None or self.change >= self.steps
        for name, interval in self.intervals.items():
            times, count = self.pauses[name], -(-self.steps // interval) - done // interval
            if times:
                seconds += sum(times) / len(times) * count
            elif count:
                sure = False
        return seconds, sure

    def words(self, done: int) -> str:
        """The estimate as "about 3.2 min left", or "at least" where something dearer is to come that was not measured
        yet.
        """
        estimate = self.left(done)
        if estimate is None:
            return "no estimate yet"
        return f"{'about' if estimate[1] else 'at least'} {estimate[0] / 60:.1f} min left"


_watcher: Callable[[int, Pace], None] | None = None


@contextmanager
def watched(watcher: Callable[[int, Pace], None]) -> Iterator[None]:
    """Tell `watcher` after each step of a training within the block which step it was, and the pace so far."""
    global _watcher
    before, _watcher = _watcher, watcher
    try:
        yield
    finally:
        _watcher = before


class Progress:
    """One line on a terminal, a line now and then elsewhere; both with the estimate of `Pace`."""

    def __init__(self, name: str, pace: Pace, start: int, quiet: bool) -> None:
        self.name, self.pace, self.steps, self.quiet = name, pace, pace.steps, quiet
        self.began = self.shown = self.mark = time.monotonic()
        self.first = True
        self.bar: Any = None
        if not quiet and start < self.steps:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
            from rich.progress import Progress as Bar

            if Console().is_terminal:
                fields = TextColumn("loss {task.fields[loss]:.4f}, {task.fields[left]}")
                self.bar = Bar(TextColumn(name), BarColumn(), MofNCompleteColumn(), fields)
                self.task = self.bar.add_task(name, total=self.steps, completed=start, loss=float("nan"), left="")
                self.bar.start()

    def _lap(self) -> float:
        before, self.mark = self.mark, time.monotonic()
        return self.mark - before

    def advance(self, step: int, loss: float) -> None:
        """Note that a step is done."""
        seconds = self._lap()
        # the first step of a process compiles, allocates and waits for the first batch
        if not self.first:
            self.pace.step(step, seconds)
            if _watcher is not None and not self.quiet:
                _watcher(step, self.pace)
        self.first = False
        if self.quiet:
            return
        if self.bar:
            self.bar.update(self.task, completed=step, loss=loss, left=self.pace.words(step))
        elif self.mark - self.shown > 30 and step < self.steps:
            self.shown = self.mark
            print(f"{self.name}: step {step}/{self.steps}, loss {loss:.4f}, {self.pace.words(step)}", flush=True)

    def paused(self, name: str) -> None:
        """Note that an evaluation or a save is done."""
        self.pace.pause(name, self._lap())

    def finish(self, loss: float) -> None:
        """Say that the stage is done, where no bar shows it."""
        if not self.quiet and not self.bar:
            minutes = (time.monotonic() - self.began) / 60
            print(
                f"{self.name}: step {self.steps}/{self.steps}, loss {loss:.4f}, done in {minutes:.1f} min", flush=True
            )

    def close(self) -> None:
        """Remove the bar."""
        if self.bar:
            self.bar.stop()
