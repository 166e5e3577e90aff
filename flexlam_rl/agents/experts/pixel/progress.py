"""Figures and lines that the training of a pixel expert reports while it runs.

Shapes: T time, N environments.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np

from flexlam_rl.agents.experts.pixel.segments import NO_CHOICE, Segments
from flexlam_rl.train.progress import Pace

_SILENCE = 30.0  # seconds between lines


def segment_figures(
    rollout: Segments, names: Sequence[str], tasks: np.ndarray, weights: np.ndarray
) -> dict[str, float]:
    """Compute the figures of a rollout per task.

    Args:
        rollout: What was played.
        names: Names of the tasks.
        tasks: Number of each environment's task, (N,).
        weights: Weight of the imitation, per task.

    Returns:
        Figures named "figure/task": mean return of the episodes that ended; how often the likeliest action agrees with
        the teacher's choice, separately where the student and where the teacher drives; entropy and reward per step
        where the student drives; and the weight of the imitation.
    """
    figures: dict[str, float] = {}
    own = ~rollout.driven.numpy()
    choices, agree = rollout.choices.numpy(), (rollout.choices == rollout.likeliest).numpy()
    for number, name in enumerate(names):
        figures[f"imitation_weight/{name}"] = float(weights[number])
        returns = [total for task, total in rollout.finished if task == number]
        if returns:
            figures[f"return/{name}"] = float(np.mean(returns))
        for part, rows in (("agreement", own), ("agreement_when_teacher_drives", ~own)):
            chosen = rows & (tasks == number)
            known = choices[:, chosen] != NO_CHOICE
            if known.any():
                figures[f"{part}/{name}"] = float(agree[:, chosen][known].mean())
        mine = own & (tasks == number)
        if mine.any():
            figures[f"entropy/{name}"] = float(rollout.entropies.numpy()[:, mine].mean())
            figures[f"reward/{name}"] = float(rollout.rewards.numpy()[:, mine].mean())
    return figures


class Meter:
    """Reports lines with the speed, the agreement and the estimated time left, from the second iteration on.

    Args:
        iterations: Total number of iterations.
        per_iteration: Agent steps per iteration.
        intervals: Iterations between evaluations and between saves.
        report: Called with each line.
    """

    def __init__(
        self, iterations: int, per_iteration: int, intervals: dict[str, int], report: Callable[[str], None]
    ) -> None:
        self._pace = Pace(iterations, intervals)
        self._per, self._total, self._report = per_iteration, iterations, report
        self._mark = time.monotonic()
        self._shown, self._count = -_SILENCE, 0

    def _lap(self) -> float:
        before, self._mark = self._mark, time.monotonic()
        return self._mark - before

    def advance(self, iteration: int, figures: dict[str, float]) -> None:
        """Note that an iteration is done."""
        seconds = self._lap()
        self._count += 1
        if self._count > 1 or iteration == self._total:  # the first iteration also compiles and allocates
            self._pace.step(iteration, seconds)
        if self._count == 1 or self._mark - self._shown < _SILENCE:
            return
        self._shown = self._mark
        agreement = [value for name, value in figures.items() if name.startswith("agreement/")]
        told = f", agreement {np.mean(agreement):.2f}" if agreement else ""
        self._report(
            f"{iteration * self._per} of {self._total * self._per} steps, {self._per / seconds:,.0f} steps/s{told}, "
            f"{self._pace.words(iteration)}"
        )

    def evaluated(self, step: int, figures: dict[str, float]) -> None:
        """Report an evaluation."""
        self.paused("evaluation")
        returns = ", ".join(f"{name[7:]} {value:.1f}" for name, value in figures.items() if name.startswith("return/"))
        self._report(f"{step} steps: score {figures['score']:.1f} ({returns})")

    def paused(self, name: str) -> None:
        """Note that an evaluation or a save is done."""
        self._pace.pause(name, self._lap())
