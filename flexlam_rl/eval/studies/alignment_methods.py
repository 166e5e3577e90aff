"""The latent action models of the alignment study: how each is trained, and for how long.

Discrete methods stand beside each other at equal bits (as many slots of as many codes), continuous ones at as many
numbers.
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
"""Methods as options name them, and as tables do."""

TRIAL = 16
"""Steps that tell how long one takes."""


@dataclass(frozen=True)
class Job:
    """One latent action model of the study, or one translator on it (`labels`)."""

    seed: int
    slots: int | None
    """K of a model with so many slots, or how many numbers a continuous one has; None for FlexLAM."""
    labels: str = ""
    method: str = "fixed"
    """Which of `NAMES` it is, where it is not FlexLAM."""

    @property
    def variant(self) -> str:
        """Method and size: flexlam, fixed4, adaworld32."""
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
        """The method's name in tables."""
        return NAMES["flexlam" if self.slots is None else self.method]

    @property
    def kind(self) -> str:
        """What the job trains."""
        return "translator" if self.labels else "LAM" if self.slots is None or self.method == "fixed" else self.title


def train_lam(job: Job, args: Any, codes: int) -> None:
    """Train the latent action model that a job names.

    Args:
        job: Which.
        args: `TrainArgs` that all models of the study share, with the job's seed, folder and steps.
        codes: V, codes per slot of every discrete one.
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
    """Raised in a training that has told how long its steps take."""


def steps_in(seconds: float, path: Path, variant: str, train: Callable[[Path, int], None]) -> int:
    """How many steps a model makes in some seconds of processor time; found by a trial, once, and kept.

    Args:
        seconds: Of this process's processor time.
        path: File that keeps the steps of all variants.
        variant: Which model.
        train: Trains it in a folder for a number of steps.
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
