"""Estimates of how long the rest of a study will take, from the seconds per step of its jobs so far."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flexlam_rl.utils.files import read_json, write_json

SETTLED = (3.0, 100)
"""Seconds of training, or number of steps, after which its pace is reliable enough to report."""

# (preset, type of device) -> seconds per step or episode, by kind of job. LAM: docs/lam.md, one thread of a Zen 4 EPYC.
# Other models of `tiny`: training of the bundled checkpoint, one thread of a Zen 3 EPYC (docs/results.md); of `study`:
# with the factored prior (docs/sequence.md). Episodes: the bundled checkpoint at K = 16 on two cores; for oracle codes,
# the encoder's share of it (docs/benchmarks.md). On other machines these are guesses, which are better than none.
_TIMED_ELSEWHERE = {
    ("tiny", "cpu"): {"LAM": 0.17, "sequence model": 0.43, "translator": 0.03},
    ("study", "cpu"): {"LAM": 0.17, "sequence model": 0.43, "translator": 0.03, "oracle play": 1.6, "play": 5.4},
}


def seconds_per_step(preset: str, device: str) -> dict[str, float]:
    """Return the seconds per step of kinds of jobs as timed on another machine, as far as they are known."""
    return _TIMED_ELSEWHERE.get((preset, device.partition(":")[0]), {})


def duration(seconds: float) -> str:
    """Write seconds in words: 40 s, 12 min, 3.4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Clock:
    """The jobs that are left, and the seconds per step of each kind of job.

    Args:
        left: Name, kind and number of steps of each job that is not done.
        path: File in which the seconds per step are kept between commands; None to keep them in memory only.
        guesses: Seconds per step on another machine, by kind, for kinds that have not been timed here yet.
    """

    def __init__(self, left: Sequence[tuple[str, str, int]], path: Path | None, guesses: Mapping[str, float]) -> None:
        self.left = list(left)
        self.path, self.guesses = path, guesses
        self._paces: dict[str, float] = {}  # paces of trainings that have not ended yet
        self._timed: dict[str, list[float]] = {}
        if path is not None and path.exists():
            self._timed = {kind: list(found) for kind, found in read_json(path).items()}

    def rate(self, kind: str) -> float | None:
        """Return the seconds per step: the mean of finished jobs, else the pace of the running one, else the guess."""
        timed = self._timed.get(kind)
        return sum(timed) / len(timed) if timed else self._paces.get(kind, self.guesses.get(kind))

    def noted(self, kind: str, pace: Any) -> bool:
        """Note the pace of a training (`train.progress.Pace`).

        Returns:
            Whether a kind without measurements now has a reliable pace for the first time.
        """
        whole = pace.left(0)
        if kind in self._timed or whole is None or not self._settled(pace.latest):
            return False
        new = kind not in self._paces
        self._paces[kind] = whole[0] / pace.steps
        return new

    @staticmethod
    def _settled(latest: Sequence[float]) -> bool:
        return sum(latest) >= SETTLED[0] or len(latest) >= SETTLED[1]

    def done(self, name: str, kind: str, steps: int, seconds: float) -> None:
        """Count a job as done.

        A job of less than a second was nearly finished before, and says nothing about others. A training that continued
        that of an earlier command is counted by its pace, not by the seconds that remained.

        Args:
            name: Name of the job.
            kind: Kind of the job.
            steps: Length of the job, in steps or episodes.
            seconds: Seconds that it took in this command.
        """
        self.left = [job for job in self.left if job[0] != name]
        pace = self._paces.pop(kind, 0.0)
        if seconds > 1.0:
            self._timed.setdefault(kind, []).append(max(seconds / steps, pace))
            if self.path is not None:
                write_json(self.path, self._timed)

    def words(self) -> str:
        """Write the time left for all jobs: "about 3.4 h left for all", "at least" if a kind has not been timed, "" if
        no kind has.
        """
        known = [(self.rate(kind), steps) for _, kind, steps in self.left]
        seconds = sum(rate * steps for rate, steps in known if rate is not None)
        missing = {kind: None for _, kind, _ in self.left if self.rate(kind) is None}
        if len(missing) == len({kind for _, kind, _ in self.left}):
            return ""
        if missing:
            return f"at least {duration(seconds)} left for all ({', '.join(missing)} not timed yet)"
        return f"about {duration(seconds)} left for all"

    def origin(self) -> str:
        """Name the kinds whose times are guesses from another machine, "" for none."""
        kinds = dict.fromkeys(kind for _, kind, _ in self.left)
        guessed = [k for k in kinds if k in self.guesses and k not in self._timed and k not in self._paces]
        return f"{', '.join(guessed)} as timed on another machine" if guessed else ""
