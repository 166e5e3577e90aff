"""Aggregates of normalised returns, and intervals whose coverage was checked (`benchmarks/interval_coverage.py`).

The aggregates are those of rliable (Agarwal et al., 2021). The intervals are not, because on returns as skewed as
these, rliable's percentile bootstrap is too narrow with few episodes. Here an interval is Student's t around the
estimate, with one variance per level (Welch and Satterthwaite); that of the interquartile mean uses the winsorized
variance (Tukey and McLaughlin, Yuen).

Legend: `L` levels, `E` episodes per level (levels may differ in it).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

TRIMMED = 0.25
"""Share of all episodes that the interquartile mean leaves out at each end."""
ENOUGH = 20
"""Episodes per level below which no claim is made and means have no interval, because rare large returns may be
missing.
"""
FEWEST = 5
"""Episodes per level below which the interquartile mean has no interval; over all levels, it needs `ENOUGH`."""
Scores = Sequence[np.ndarray]
Statistic = Callable[[Scores], float]


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95% interval, whose ends are None with too few episodes."""

    value: float
    low: float | None
    high: float | None


def standard_error(values: np.ndarray) -> float:
    """Compute the standard error of the mean; NaN for a single value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def mean_of_levels(scores: Scores) -> float:
    """Compute the mean over levels of each level's mean, the paper's aggregate, from scores, L arrays (E,)."""
    return float(np.mean([level.mean() for level in _arrays(scores)]))


def interquartile_mean(scores: Scores) -> float:
    """Compute the mean of all episodes without the lowest and the highest quarter: SciPy's `trim_mean(scores, 0.25)`,
    as in rliable.
    """
    from scipy.stats import trim_mean

    return float(trim_mean(np.concatenate(_arrays(scores)), TRIMMED))


def estimate(scores: Scores, statistic: Statistic) -> Interval:
    """Compute a statistic and its 95% interval.

    Args:
        scores: Returns per level, L arrays (E,).
        statistic: `mean_of_levels` or `interquartile_mean`.

    Returns:
        The value and the interval; the latter is left out with too few episodes (`ENOUGH`, `FEWEST`).
    """
    ends = interval_ends(scores, statistic) if _allowed(scores, statistic) else (None, None)
    return Interval(statistic(scores), *ends)


def difference(first: Scores, second: Scores, statistic: Statistic, paired: bool = False) -> Interval:
    """Compute `statistic(second) - statistic(first)` and its 95% interval.

    Args:
        first, second: Returns per level, L arrays (E,) each, for the same levels in the same order.
        statistic: `mean_of_levels` or `interquartile_mean`.
        paired: Whether both hold the same episodes in the same order, which removes the variance of the mazes.

    Returns:
        The difference and the interval; the latter is left out with too few episodes.
    """
    enough = _allowed(first, statistic) and _allowed(second, statistic)
    ends = difference_ends(first, second, statistic, paired) if enough else (None, None)
    return Interval(statistic(second) - statistic(first), *ends)


def interval_ends(scores: Scores, statistic: Statistic) -> tuple[float, float]:
    """Compute the ends of a statistic's interval, for two or more episodes per level; whether these suffice is up to
    the caller.
    """
    half = _half_width(influences(scores, statistic), _kept(scores, statistic))
    return statistic(scores) - half, statistic(scores) + half


def difference_ends(first: Scores, second: Scores, statistic: Statistic, paired: bool) -> tuple[float, float]:
    """Compute the ends of the interval of a difference, as `interval_ends` does for a statistic.

    Args:
        first, second, statistic, paired: As for `difference`.
    """
    one, two = influences(first, statistic), influences(second, statistic)
    parts = [b - a for a, b in zip(one, two, strict=True)] if paired else [*one, *two]
    half = _half_width(parts, min(_kept(first, statistic), _kept(second, statistic)))
    gap = statistic(second) - statistic(first)
    return gap - half, gap + half


def influences(scores: Scores, statistic: Statistic) -> list[np.ndarray]:
    """Compute values, L arrays (E,), whose means, summed over levels, have the variance of the statistic."""
    scores = _arrays(scores)
    if statistic is not interquartile_mean:
        return [level / len(scores) for level in scores]
    pooled = np.sort(np.concatenate(scores))
    total, cut = len(pooled), _cut(len(pooled))
    low, high = pooled[cut], pooled[total - cut - 1]
    return [np.clip(level, low, high) * len(level) / (total - 2 * cut) for level in scores]


def _arrays(scores: Scores) -> list[np.ndarray]:
    arrays = [np.asarray(level, np.float64).reshape(-1) for level in scores]
    if not arrays or not all(map(len, arrays)):
        raise ValueError("An aggregate needs at least one level, and at least one episode of each.")
    return arrays


def _allowed(scores: Scores, statistic: Statistic) -> bool:
    fewest, total = min(map(len, scores)), sum(map(len, scores))
    return fewest >= ENOUGH or (statistic is interquartile_mean and fewest >= FEWEST and total >= ENOUGH)


def _cut(total: int) -> int:
    """Return the number of episodes that the interquartile mean leaves out at each end."""
    return int(TRIMMED * total)


def _kept(scores: Scores, statistic: Statistic) -> float:
    """Return the share of the degrees of freedom that trimming leaves; for a single level, these are Yuen's."""
    if statistic is not interquartile_mean:
        return 1.0
    total = sum(map(len, scores))
    return (total - 2 * _cut(total) - 1) / (total - 1)


def _half_width(parts: list[np.ndarray], kept: float) -> float:
    """Compute half the width of the interval of a sum of independent means."""
    from scipy.special import stdtrit

    variances = np.array([part.var(ddof=1) / len(part) for part in parts])
    total = variances.sum()
    if total == 0.0:
        return 0.0
    freedom = total**2 / (variances**2 / np.array([len(part) - 1 for part in parts])).sum()
    return float(stdtrit(max(1.0, freedom * kept), 0.975) * np.sqrt(total))
