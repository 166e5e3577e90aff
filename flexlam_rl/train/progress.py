"""Progress of a stage, with an estimate of the remaining time that includes evaluations and saves."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

WINDOW = 200
"""Number of latest steps whose mean duration the estimate uses."""


class Pace:
    """Durations of steps, evaluations and saves so far, and an estimate for the rest.

    Args:
        steps: Length of the stage, in steps.
        intervals: Steps between evaluations and between saves, by name; each also happens after the last step.
        change: Step from which on steps cost more, for example because a curriculum grows; None for none.
    """

    def __init__(self, steps: int, intervals: dict[str, int], change: int | None = None) -> None:
        self.steps, self.intervals, self.change = steps, intervals, change
        self.latest: deque[float] = deque(maxlen=WINDOW)
        self.pauses: dict[str, list[float]] = {name: [] for name in intervals}

    def step(self, done: int, seconds: float) -> None:
        """Record the duration of step number `done` (from 1)."""
        if self.change is not None and done > self.change:
            # the cheaper steps before it say nothing about later ones
            self.latest.clear()
            self.change = None
        self.latest.append(seconds)

    def pause(self, name: str, seconds: float) -> None:
        """Record the duration of an evaluation or a save."""
        self.pauses[name].append(seconds)

    def left(self, done: int) -> tuple[float, bool] | None:
        """Estimate the seconds that remain after step `done`, and tell whether everything that remains has been
        measured; None before the first step.
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
        """Give the estimate as "about 3.2 min left", or "at least" if something more expensive remains that has not
        been measured yet.
        """
        estimate = self.left(done)
        if estimate is None:
            return "no estimate yet"
        return f"{'about' if estimate[1] else 'at least'} {estimate[0] / 60:.1f} min left"


_watcher: Callable[[int, Pace], None] | None = None


@contextmanager
def watched(watcher: Callable[[int, Pace], None]) -> Iterator[None]:
    """Call `watcher` after each step of training inside the block, with the number of the step and the pace so far."""
    global _watcher
    before, _watcher = _watcher, watcher
    try:
        yield
    finally:
        _watcher = before


class Progress:
    """Display of progress: one updated line on a terminal, else a new line at intervals; both with `Pace`'s
    estimate.
    """

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

    def advance(self, step: int, loss: Any) -> None:
        """Record a step; `loss`, a number or a tensor, is only read when it is shown, at most twice per second."""
        seconds = self._lap()
        # the first step of a process compiles, allocates memory and waits for the first batch
        if not self.first:
            self.pace.step(step, seconds)
            if _watcher is not None and not self.quiet:
                _watcher(step, self.pace)
        self.first = False
        if self.quiet:
            return
        if self.bar:
            if self.mark - self.shown > 0.5 or step == self.steps:
                self.shown = self.mark
                self.bar.update(self.task, completed=step, loss=float(loss), left=self.pace.words(step))
        elif self.mark - self.shown > 30 and step < self.steps:
            self.shown = self.mark
            print(f"{self.name}: step {step}/{self.steps}, loss {float(loss):.4f}, {self.pace.words(step)}", flush=True)

    def paused(self, name: str) -> None:
        """Record that an evaluation or a save is done."""
        self.pace.pause(name, self._lap())

    def finish(self, loss: float) -> None:
        """Print that the stage is done, if no bar shows it."""
        if not self.quiet and not self.bar:
            minutes = (time.monotonic() - self.began) / 60
            print(
                f"{self.name}: step {self.steps}/{self.steps}, loss {loss:.4f}, done in {minutes:.1f} min", flush=True
            )

    def close(self) -> None:
        """Remove the bar."""
        if self.bar:
            self.bar.stop()
