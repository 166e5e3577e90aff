"""Rows of levels, each printed as soon as the level's last episode has ended."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flexlam_rl.eval.suite.batches import Job, Played
from flexlam_rl.eval.suite.table import by_column, number, summarise, with_error


class Rows:
    """Prints the rows of a suite's table one by one.

    Args:
        jobs: All episodes of the suite.
        played: Episodes that have ended, by level, budget and number; it grows while they are played.
        name: Name of the policy in columns.
        engine: Engine that is played on.
        domain: Domain of the levels.
        say: Function that prints a line.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        played: Mapping[tuple[str, int | str, int], Played],
        name: str,
        engine: str,
        domain: str,
        say: Callable[[str], None],
    ) -> None:
        self._played, self._name, self._engine, self._domain, self._say = played, name, engine, domain, say
        self._jobs = jobs
        self._left = Counter((j.level, j.budget) for j in jobs if (j.level, j.budget, j.number) not in played)
        self._width = max(len(job.level) for job in jobs)

    def ended(self, job: Job) -> None:
        """Note that an episode has been played for the first time; print its level's row if it was the last one."""
        at = job.level, job.budget
        self._left[at] -= 1
        if self._left[at] == 0:
            self._say(self._row(*at))

    def _row(self, level: str, budget: int | str) -> str:
        numbers = [job.number for job in self._jobs if (job.level, job.budget) == (level, budget)]
        rows = [{"level": level, "budget": budget, "return": self._played[level, budget, n].total} for n in numbers]
        (title, returns), *_ = by_column(rows, self._name).items()
        row: dict[str, Any] = summarise(returns, self._engine, self._domain)["levels"][level]
        percent = f", {with_error(row)} % of the expert" if "normalised" in row else ""
        error = f" ± {number(row['standard_error'])}" if row["standard_error"] is not None else ""
        return f"{level:<{self._width}}  {title}: return {number(row['mean'])}{error}{percent}"
