"""A resumable study: many jobs, each of which trains something and measures it.

A study stores each result when its job ends, continues with the same command after any stop, and estimates from its
first seconds on how long the rest will take. A new study is a `StudyDefinition`: a dataclass of options, and a function
that makes a `Study` from them.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from flexlam_rl.eval.studies.clock import Clock, duration
from flexlam_rl.utils.errors import StoreLocked
from flexlam_rl.utils.files import FolderLock
from flexlam_rl.utils.options import free

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class ArmJob:
    """One training of a study that compares arms over seeds."""

    arm: str
    seed: int

    @property
    def kind(self) -> str:
        """Name of the arm, whose trainings take about the same time."""
        return self.arm

    @property
    def name(self) -> str:
        """Name of arm and seed."""
        return f"{self.arm}-{self.seed}"


class Job(Protocol):
    """One part of a study."""

    @property
    def name(self) -> str:
        """Name of the job and of its result on disk."""
        ...

    @property
    def kind(self) -> str:
        """Kind of the job, in a word or two; jobs of one kind take about the same time per step."""
        ...


J = TypeVar("J", bound=Job)


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """Options that all studies share."""

    dry_run: bool = field(default=False, metadata=free())
    """Print the remaining jobs and hours, and write nothing."""


@dataclass(kw_only=True)
class Study(Generic[J]):
    """A study: its jobs, and how each is trained and measured."""

    title: str
    """Name of the study in messages."""
    jobs: Sequence[J]
    """All jobs, in the order in which they are done."""
    train: Callable[[J], Any] | None = None
    """Function that trains a job; it returns at once if the training is finished, and continues a stopped one."""
    measure: Callable[[J], Rows | None]
    """Function that measures a trained job. Its rows are stored in `out`/results; if it returns None, the job stores
    its result itself.
    """
    report: Callable[[], str]
    """Function that writes tables and plots of all results so far, and returns the text to print."""
    out: Path | None = None
    """Folder of the study; None for a study that stores nothing."""
    config: Any = None
    """Dataclass of everything that a later command must not change, or None."""
    steps: Callable[[J], int] = lambda job: 1
    """Function that returns the length of a job, in steps or episodes."""
    finished: Callable[[J], bool] | None = None
    """Function that returns whether a job is done; None if a job is done when its result exists."""
    revisit: bool = False
    """Whether to run finished jobs again: they end at once, after checking that they are what is asked for."""
    needed: Callable[[J], bool] | None = None
    """Function that returns whether later jobs need this one. If given, several commands may work on the folder at
    once: each takes jobs that no other has taken, and waits for those that are needed. None: one command at a time.
    """
    guesses: Mapping[str, float] = field(default_factory=dict)
    """Seconds per step of some kinds of jobs on another machine, which are used until this machine has been timed."""

    def result(self, job: J) -> Path:
        """Return the file of a job's rows."""
        assert self.out is not None
        return self.out / "results" / f"{job.name}.json"

    def is_finished(self, job: J) -> bool:
        """Return whether a job is done."""
        if self.finished is not None:
            return self.finished(job)
        return self.out is not None and self.result(job).exists()

    def rows(self) -> Rows:
        """Read the rows of all jobs that are done."""
        done = [job for job in self.jobs if self.is_finished(job)]
        return [row for job in done for row in json.loads(self.result(job).read_text(encoding="utf-8"))]

    def write(self, rows: Rows, page: str) -> None:
        """Write results.json and summary.md."""
        from flexlam_rl.utils.files import write_atomically

        assert self.out is not None
        write_atomically(self.out / "results.json", (json.dumps(rows, indent=1) + "\n").encode())
        write_atomically(self.out / "summary.md", f"{page}\n".encode())

    def clock(self) -> Clock:
        """Make the estimates of the time left, from the seconds per step that earlier commands measured."""
        left = [(job.name, job.kind, self.steps(job)) for job in self.jobs if not self.is_finished(job)]
        return Clock(left, None if self.out is None else self.out / "timing.json", self.guesses)


@dataclass(frozen=True)
class StudyDefinition:
    """A study that can be run by name."""

    options: type[StudyOptions]
    """Dataclass of the options."""
    plan: Callable[[Any], Study[Any]]
    """Function that checks the options and makes the study from them; it writes nothing."""
    summary: str
    """What the study measures, in half a line."""

    def run(self, options: Any) -> int:
        """Run the study, or with `dry_run` print what is left of it, and return the exit code.

        Raises:
            ValueError: Options do not fit each other or the data.
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
    """Run all jobs that are not done, and print the report at the end.

    It is written after results, too, unless reports would take more than a tenth of the time, and where a job
    fails or is stopped.

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

    if study.out is not None:
        study.out.mkdir(parents=True, exist_ok=True)
        if study.config is not None:
            check_folder(study.out, study.config)
    pages = _Pages(study)
    try:
        _run_jobs(study, pages)
    except BaseException:
        pages.catch_up()
        raise
    page = study.report()
    if page:
        print(page)


def _run_jobs(study: Study[Any], pages: "_Pages") -> None:
    clock = study.clock()
    for number, job in enumerate(study.jobs, 1):
        done = study.is_finished(job)
        if done and not study.revisit:
            continue
        with _taken(study, job) as taken:
            if not taken or (not done and study.is_finished(job)):
                clock.done(job.name, job.kind, study.steps(job), 0.0)  # by another command
                continue
            if not done and study.train is not None:
                left = clock.words()
                print(f"{study.title}: job {number} of {len(study.jobs)}, {job.name}{left and f'; {left}'}", flush=True)
            began = time.monotonic()
            if _do(study, job, clock):
                pages.came()
            if not done:
                clock.done(job.name, job.kind, study.steps(job), time.monotonic() - began)
    left_out = [job.name for job in study.jobs if not study.is_finished(job)]
    if left_out:
        print(f"{study.title}: another command is at work on {', '.join(left_out)}.", flush=True)


def _do(study: Study[J], job: J, clock: Clock) -> bool:
    """Train and measure a job, and return whether its rows were stored here."""
    from flexlam_rl.train.progress import watched
    from flexlam_rl.utils.files import write_atomically

    with watched(lambda _, pace: _tell(study, clock, job, pace)):
        if study.train is not None:
            study.train(job)
        rows = study.measure(job)
    if rows is None or study.out is None:
        return False
    path = study.result(job)
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, (json.dumps(rows, indent=1) + "\n").encode())
    return True


@contextmanager
def _taken(study: Study[J], job: J) -> Iterator[bool]:
    """Take a job, so that no other command on the folder does it at the same time: False where another has it."""
    if study.out is None or study.needed is None:
        yield True
        return
    folder = study.out / "taken" / job.name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FolderLock(folder, wait=study.needed(job))
    except StoreLocked:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


class _Pages:
    """Writes a study's report after results, so that at most a tenth of the time goes into reports."""

    def __init__(self, study: Study[Any]) -> None:
        self._study, self._due, self._stale = study, 0.0, False

    def came(self) -> None:
        """Note a new result."""
        self._stale = True
        began = time.monotonic()
        if began >= self._due:
            self.catch_up()
            self._due = began + 10 * (time.monotonic() - began)

    def catch_up(self) -> None:
        """Write the report if results have come since the last one."""
        if self._stale:
            self._study.report()
            self._stale = False


def _tell(study: Study[Any], clock: Clock, job: Any, pace: Any) -> None:
    """Note a training's pace; when the pace of a kind of job becomes known, print the time left."""
    if clock.noted(job.kind, pace):
        print(f"{study.title}: {clock.words()}", flush=True)


def describe(study: Study[Any]) -> str:
    """List the jobs that are left and how long they will take, as far as that is known.

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
