"""Means and differences over training seeds, as cells and lines of a page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from flexlam_rl.eval.video.curves import curve

ENOUGH = 3
"""Number of training seeds that a claim needs."""


def over_seeds(values: Sequence[float], digits: int) -> tuple[str, str]:
    """Write the mean of one value per seed, and its 95% interval ("none" for a single seed).

    Args:
        values: One value per seed.
        digits: Number of digits after the point.
    """
    found = curve(np.array(values)[:, None])
    low, high = found.low[0], found.high[0]
    ends = "none" if low is None or high is None else f"{low:.{digits}f} to {high:.{digits}f}"
    return f"{found.mean[0]:.{digits}f}", ends


def claim_line(title: str, first: Mapping[int, float], second: Mapping[int, float], sign: int) -> list[str]:
    """Write a claim as the difference of two figures with its interval over seeds, and whether it was found.

    Args:
        title: The claim.
        first, second: A figure of both methods, by seed; seeds that only one of them has are left out.
        sign: Sign of `first` - `second` if the claim is true, 1 or -1.

    Returns:
        One line, or none if there is no common seed.
    """
    shared = sorted(first.keys() & second.keys())
    if not shared:
        return []
    found = curve(np.array([[first[seed] - second[seed]] for seed in shared]))
    low, high = found.low[0], found.high[0]
    ends = "no interval" if low is None or high is None else f"95 % {low:.3f} to {high:.3f}"
    verdict = "not tested, fewer than three seeds"
    if len(shared) >= ENOUGH and low is not None and high is not None:
        verdict = "found" if min(sign * low, sign * high) > 0 else "not found"
    return [f"- {title}: {found.mean[0]:+.3f} ({ends}, {len(shared)} seeds): {verdict}"]


class Claim(NamedTuple):
    """A figure of one arm minus that of another, and the sign that is expected of it."""

    title: str
    figure: str
    first: str
    second: str
    sign: int

    def lines(self, rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """Write the claim as `claim_line`, from rows with "arm", "seed" and figures."""
        values: dict[str, dict[int, float]] = {self.first: {}, self.second: {}}
        for row in rows:
            if row["arm"] in values and self.figure in row:
                values[row["arm"]][row["seed"]] = row[self.figure]
        return claim_line(self.title, values[self.first], values[self.second], self.sign)
