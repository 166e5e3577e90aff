"""How long the rest of a study will take, from the seconds per step of its jobs so far."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flexlam_rl.utils.files import read_json, write_json

SETTLED = (3.0, 100)
"""Seconds of steps, or steps, after which a training's pace is worth telling."""

# (preset, type of device) -> seconds per step or episode by kind of job: the LAM as in docs/lam.md, one thread of a Zen
# 4 EPYC; the others of `tiny` in the bundled checkpoint's training, one thread of a Zen 3 EPYC (docs/results.md), of
# `study` with the factored prior (docs/sequence.md); episodes of the bundled checkpoint at K = 16 on two cores, of
# oracle codes the encoder's share of them (docs/benchmarks.md). Guesses for other machines, and better than none.
_TIMED_ELSEWHERE = {
    ("tiny", "cpu"): {"LAM": 0.17, "sequence model": 0.43, "translator": 0.03},
    ("study", "cpu"): {"LAM": 0.17, "sequence model": 0.43, "translator": 0.03, "oracle play": 1.6, "play": 5.4},
}


def seconds_per_step(preset: str, device: str) -> dict[str, float]:
    """Seconds per step of each kind of job as timed on another machine, as far as known."""
    return _TIMED_ELSEWHERE.get((preset, device.partition(":")[0]), {})


def duration(seconds: float) -> str:
    """Seconds in words: 40 s, 12 min, 3.4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Clock:
    """Jobs that are left, and seconds per step of each kind of job.

    Args:
        left: Name, kind and steps of each job that is not done.
        path: File in which the seconds per step are kept between commands, or None.
        guesses: Seconds per step on another machine, by kind, for kinds that were not timed here yet.
    """

    def __init__(self, left: Sequence[tuple[str, str, int]], path: Path | None, guesses: Mapping[str, float]) -> None:
        self.left = list(left)
        self.path, self.guesses = path, guesses
        self._paces: dict[str, float] = {}  # of trainings that have not ended yet
        self._timed: dict[str, list[float]] = {}
        if path is not None and path.exists():
            self._timed = {kind: list(found) for kind, found in read_json(path).items()}

    def rate(self, kind: str) -> float | None:
        """Seconds per step: the mean of the jobs that ended, else the pace of the one that runs, else the guess."""
        timed = self._timed.get(kind)
        return sum(timed) / len(timed) if timed else self._paces.get(kind, self.guesses.get(kind))

    def noted(self, kind: str, pace: Any) -> bool:
        """Note the pace of a training (`train.progress.Pace`); True the first time that it tells more than a guess."""
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
        """Count a job as done. What took no second was nearly finished before, and says nothing of the others.

        A training that continued an earlier command's is counted at its pace, not at the seconds of its rest.
        """
        self.left = [job for job in self.left if job[0] != name]
        pace = self._paces.pop(kind, 0.0)
        if seconds > 1.0:
            self._timed.setdefault(kind, []).append(max(seconds / steps, pace))
            if self.path is not None:
                write_json(self.path, self._timed)

    def words(self) -> str:
        """What is left for all jobs: "about 3.4 h left for all", "at least" where a kind was not timed; "" if none
        was.
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
        """Which kinds are guessed by the figures of another machine, "" for none."""
        kinds = dict.fromkeys(kind for _, kind, _ in self.left)
        guessed = [k for k in kinds if k in self.guesses and k not in self._timed and k not in self._paces]
        return f"{', '.join(guessed)} as timed on another machine" if guessed else ""
