"""The latent action models of the alignment study: how each is trained, and for how long.

Discrete methods are compared at equal bits (the same number of slots and codes), continuous ones at equal numbers.
"""

import contextlib
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from flexlam_rl.utils.files import read_json, write_json

DISCRETE, CONTINUOUS = ("lapo",), ("adaworld", "laom")
NAMES = {"flexlam": "FlexLAM", "fixed": "Fixed-K", "lapo": "LAPO", "adaworld": "AdaWorld", "laom": "LAOM"}
"""Names of the methods in options, and in tables."""

TRIAL = 16
"""Number of steps of a trial, which measures how long a step takes."""


@dataclass(frozen=True)
class Job:
    """One latent action model of the study, or one translator on it (`labels`)."""

    seed: int
    slots: int | None
    """Number of slots, K, of a discrete model, or of numbers of a continuous one; None for FlexLAM."""
    labels: str = ""
    method: str = "fixed"
    """Name of the method in `NAMES`, if it is not FlexLAM."""

    @property
    def variant(self) -> str:
        """Name of method and size: flexlam, fixed4, adaworld32."""
        return "flexlam" if self.slots is None else f"{self.method}{self.slots}"

    @property
    def model(self) -> str:
        """Name of the model and its folder: flexlam-seed0, fixed4-seed0."""
        return f"{self.variant}-seed{self.seed}"

    @property
    def name(self) -> str:
        """Name of the job."""
        return f"{self.model}-{self.labels}" if self.labels else self.model

    @property
    def title(self) -> str:
        """Name of the method in tables."""
        return NAMES["flexlam" if self.slots is None else self.method]

    @property
    def kind(self) -> str:
        """Kind of model that the job trains."""
        return "translator" if self.labels else "LAM" if self.slots is None or self.method == "fixed" else self.title


def train_lam(job: Job, args: Any, codes: int) -> None:
    """Train the latent action model of a job.

    Args:
        job: The job.
        args: `TrainArgs` that all models of the study share, with the job's seed, folder and steps.
        codes: Number of codes per slot of a discrete model, V.
    """
    from flexlam_rl.models.flexlam.pipeline import train_stage
    from flexlam_rl.train.options import part_of
    from flexlam_rl.train.stages import STAGES

    if job.slots is None or job.method == "fixed":
        train_stage("lam", args)
        return
    size = {"slots": job.slots, "size": codes} if job.method in DISCRETE else {"slots": 1, "dim": job.slots}
    train_stage(job.method, part_of(args, STAGES.get(job.method).options, prefix_distribution="uniform", **size))


class _TrialIsOver(Exception):
    """Raised when a trial has measured how long steps take."""


def steps_in(seconds: float, path: Path, variant: str, train: Callable[[Path, int], None]) -> int:
    """Return the number of training steps that take `seconds` of processor time; a trial measures it once.

    Args:
        seconds: Seconds of this process's processor time.
        path: File in which the results for all variants are kept.
        variant: Name of the model.
        train: Function that trains the model in a folder for a number of steps.
    """
    from flexlam_rl.train.progress import watched

    known = read_json(path) if path.exists() else {}
    if variant not in known:
        marks: list[float] = []

        def watch(step: int, pace: Any) -> None:
            marks.append(time.process_time())
            if step >= TRIAL:
                raise _TrialIsOver

        with TemporaryDirectory() as folder, watched(watch), contextlib.suppress(_TrialIsOver):
            train(Path(folder), 2 * TRIAL)
        pace = median(after - before for before, after in itertools.pairwise(marks))
        known[variant] = max(1, round(seconds / pace))
        write_json(path, known)
    return int(known[variant])
