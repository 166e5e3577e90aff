"""One resumable study: many jobs, each of which trains something and measures it.

A study keeps each result as its job ends, continues with the same command after any stop, and says from its first
seconds how long the rest will take. A new study is a `StudyDefinition`: the dataclass of its options, and a function
that makes a `Study` of them.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from flexlam_rl.eval.studies.clock import Clock, duration

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class ArmJob:
    """One training of a study that compares arms over seeds."""

    arm: str
    seed: int

    @property
    def kind(self) -> str:
        """The arm: trainings of one arm take about as long."""
        return self.arm

    @property
    def name(self) -> str:
        """Arm and seed."""
        return f"{self.arm}-{self.seed}"


class Job(Protocol):
    """One part of a study."""

    @property
    def name(self) -> str:
        """Name of the job and of its result on disk."""
        ...

    @property
    def kind(self) -> str:
        """What it does, in a word or two: jobs of one kind take about as long per step."""
        ...


J = TypeVar("J", bound=Job)


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """What the options of all studies share."""

    dry_run: bool = field(default=False, metadata={"identity": False})
    """Print the jobs and the hours that are left, and write nothing."""


@dataclass(kw_only=True)
class Study(Generic[J]):
    """Jobs, how each trains and how it is measured."""

    title: str
    """What messages call the study."""
    jobs: Sequence[J]
    """All jobs, in the order of their work."""
    train: Callable[[J], Any] | None = None
    """Trains what a job names; returns at once where that is finished, and continues where it was stopped."""
    measure: Callable[[J], Rows | None]
    """Measures a trained job; the rows are kept in `out`/results. None: the job keeps its result itself."""
    report: Callable[[], str]
    """Writes tables and plots of all results so far, and returns what to print."""
    out: Path | None = None
    """Folder of the study; None for one that keeps nothing."""
    config: Any = None
    """Dataclass of all that a later command must not change, or None."""
    steps: Callable[[J], int] = lambda job: 1
    """Length of a job, in steps or episodes."""
    finished: Callable[[J], bool] | None = None
    """Whether a job is done; None: whether its result is there."""
    revisit: bool = False
    """Go through finished jobs again too: they end at once, after checking that they are what is asked for."""
    guesses: Mapping[str, float] = field(default_factory=dict)
    """Seconds per step of some kinds of jobs on another machine, used until this one has been timed."""

    def result(self, job: J) -> Path:
        """File of a job's rows."""
        assert self.out is not None
        return self.out / "results" / f"{job.name}.json"

    def is_finished(self, job: J) -> bool:
        """Whether a job has been done."""
        if self.finished is not None:
            return self.finished(job)
        return self.out is not None and self.result(job).exists()

    def rows(self) -> Rows:
        """Rows of all jobs that are done."""
        done = [job for job in self.jobs if self.is_finished(job)]
        return [row for job in done for row in json.loads(self.result(job).read_text(encoding="utf-8"))]

    def write(self, rows: Rows, page: str) -> None:
        """Write results.json and summary.md."""
        from flexlam_rl.utils.files import write_atomically

        assert self.out is not None
        write_atomically(self.out / "results.json", (json.dumps(rows, indent=1) + "\n").encode())
        write_atomically(self.out / "summary.md", f"{page}\n".encode())

    def clock(self) -> Clock:
        """Estimates of what is left, with the seconds per step that earlier commands measured."""
        left = [(job.name, job.kind, self.steps(job)) for job in self.jobs if not self.is_finished(job)]
        return Clock(left, None if self.out is None else self.out / "timing.json", self.guesses)


@dataclass(frozen=True)
class StudyDefinition:
    """A study that can be asked for by name."""

    options: type[StudyOptions]
    """Dataclass of its options."""
    plan: Callable[[Any], Study[Any]]
    """Makes the study from its options; checks them, and writes nothing."""
    summary: str
    """What it finds out, in half a line."""

    def run(self, options: Any) -> int:
        """Run the study, or say what is left of it; returns the exit code.

        Raises:
            ValueError: Options that do not fit each other or the data.
            TrainingError: The folder holds another study.
            KeyboardInterrupt: On Ctrl-C or SIGTERM; the message says how to continue.
        """
        study = self.plan(options)
        if options.dry_run:
            print(describe(study))
        else:
            run_study(study)
        return 0


def run_study(study: Study[Any]) -> None:
    """Do all jobs that are missing, write the report after each result, and print it at the end.

    Raises:
        TrainingError: The folder holds another study.
        KeyboardInterrupt: On Ctrl-C or SIGTERM; the message says how to continue.
    """
    from flexlam_rl.train.stopping import resumable

    if study.out is None:
        _run(study)
        return
    with resumable(study.out):
        _run(study)


def _run(study: Study[Any]) -> None:
    from flexlam_rl.train.identity import check_folder
    from flexlam_rl.train.progress import watched
    from flexlam_rl.utils.files import write_atomically

    if study.out is not None:
        study.out.mkdir(parents=True, exist_ok=True)
        if study.config is not None:
            check_folder(study.out, study.config)
    clock = study.clock()
    for number, job in enumerate(study.jobs, 1):
        done = study.is_finished(job)
        if done and not study.revisit:
            continue
        if not done and study.train is not None:
            left = clock.words()
            print(f"{study.title}: job {number} of {len(study.jobs)}, {job.name}{left and f'; {left}'}", flush=True)

        began = time.monotonic()
        with watched(lambda step, pace, job=job: _tell(study, clock, job, pace)):  # type: ignore[misc]
            if study.train is not None:
                study.train(job)
            rows = study.measure(job)
        if rows is not None and study.out is not None:
            path = study.result(job)
            path.parent.mkdir(exist_ok=True)
            write_atomically(path, (json.dumps(rows, indent=1) + "\n").encode())
            study.report()
        if not done:
            clock.done(job.name, job.kind, study.steps(job), time.monotonic() - began)
    page = study.report()
    if page:
        print(page)


def _tell(study: Study[Any], clock: Clock, job: Any, pace: Any) -> None:
    """Take note of a training's pace; the first time that it is known for a kind of job, say what is left."""
    if clock.noted(job.kind, pace):
        print(f"{study.title}: {clock.words()}", flush=True)


def describe(study: Study[Any]) -> str:
    """The jobs that are left and how long they will take, as far as that is known.

    Raises:
        TrainingError: The folder holds another study.
    """
    from flexlam_rl.train.identity import compare_folder

    if study.out is not None and study.config is not None:
        compare_folder(study.out, study.config)
    clock = study.clock()
    lines = []
    for name, kind, steps in clock.left:
        rate = clock.rate(kind)
        lines.append(
            f"  {name}: {steps:,} {'step' if steps == 1 else 'steps'}, "
            + ("not timed yet" if rate is None else f"about {duration(rate * steps)}")
        )
    total = f"{study.title}: {len(clock.left)} of {len(study.jobs)} jobs left"
    words = [word for word in (clock.words(), clock.origin()) if word]
    return "\n".join([f"{total}{''.join(f'; {word}' for word in words)}; nothing was written.", *lines])
