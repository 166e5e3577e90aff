"""Aggregates of normalised returns, and intervals whose coverage was checked (`benchmarks/interval_coverage.py`).

The aggregates are rliable's (Agarwal et al. 2021). The intervals are not: on returns as skewed as these, its percentile
bootstrap is too narrow at few episodes. Here an interval is Student's t around the estimate, with a variance for each
level (Welch and Satterthwaite); of the interquartile mean with the winsorised variance (Tukey and McLaughlin, Yuen).

Legend: `L` levels, `E` episodes per level (levels may differ in it).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

TRIMMED = 0.25
"""Share of all episodes that the interquartile mean leaves out at each end."""
ENOUGH = 20
"""Episodes per level below which no claim is made, and means have no interval: rare large returns are not seen in
fewer.
"""
FEWEST = 5
"""Episodes per level below which the interquartile mean has no interval either; of all levels together it needs
`ENOUGH`.
"""
Scores = Sequence[np.ndarray]
Statistic = Callable[[Scores], float]


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % interval; the ends are None where there are too few episodes for one."""

    value: float
    low: float | None
    high: float | None


def standard_error(values: np.ndarray) -> float:
    """Standard error of the mean; not a number for a single value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def mean_of_levels(scores: Scores) -> float:
    """Mean over levels of each level's mean, the paper's aggregate; scores are L arrays (E,)."""
    return float(np.mean([level.mean() for level in _arrays(scores)]))


def interquartile_mean(scores: Scores) -> float:
    """Mean of all episodes without the lowest and the highest quarter: SciPy's `trim_mean(scores, 0.25)`, as in
    rliable.
    """
    from scipy.stats import trim_mean

    return float(trim_mean(np.concatenate(_arrays(scores)), TRIMMED))


def estimate(scores: Scores, statistic: Statistic) -> Interval:
    """Compute a statistic and its 95 % interval.

    Args:
        scores: L arrays (E,).
        statistic: `mean_of_levels` or `interquartile_mean`.

    Returns:
        The value and the interval, which is left out where there are too few episodes for one (`ENOUGH`, `FEWEST`).
    """
    ends = interval_ends(scores, statistic) if _allowed(scores, statistic) else (None, None)
    return Interval(statistic(scores), *ends)


def difference(first: Scores, second: Scores, statistic: Statistic, paired: bool = False) -> Interval:
    """Compute `statistic(second) - statistic(first)` and its 95 % interval.

    Args:
        first, second: L arrays (E,) each, the same levels in the same order.
        statistic: `mean_of_levels` or `interquartile_mean`.
        paired: Whether both hold the same episodes in the same order; this takes the luck of the mazes out.

    Returns:
        The difference and the interval, which is left out where there are too few episodes for one.
    """
    enough = _allowed(first, statistic) and _allowed(second, statistic)
    ends = difference_ends(first, second, statistic, paired) if enough else (None, None)
    return Interval(statistic(second) - statistic(first), *ends)


def interval_ends(scores: Scores, statistic: Statistic) -> tuple[float, float]:
    """Ends of the interval of a statistic, from two episodes per level on; how well it holds is the caller's
    question.
    """
    half = _half_width(influences(scores, statistic), _kept(scores, statistic))
    return statistic(scores) - half, statistic(scores) + half


def difference_ends(first: Scores, second: Scores, statistic: Statistic, paired: bool) -> tuple[float, float]:
    """Ends of the interval of a difference, as `interval_ends` gives them of one statistic."""
    one, two = influences(first, statistic), influences(second, statistic)
    parts = [b - a for a, b in zip(one, two, strict=True)] if paired else [*one, *two]
    half = _half_width(parts, min(_kept(first, statistic), _kept(second, statistic)))
    gap = statistic(second) - statistic(first)
    return gap - half, gap + half


def influences(scores: Scores, statistic: Statistic) -> list[np.ndarray]:
    """Values whose means, added up over the levels, vary as the statistic does: L arrays (E,)."""
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
    """Episodes that the interquartile mean leaves out at each end."""
    return int(TRIMMED * total)


def _kept(scores: Scores, statistic: Statistic) -> float:
    """Share of the degrees of freedom that trimming leaves: for a single level they are Yuen's."""
    if statistic is not interquartile_mean:
        return 1.0
    total = sum(map(len, scores))
    return (total - 2 * _cut(total) - 1) / (total - 1)


def _half_width(parts: list[np.ndarray], kept: float) -> float:
    """Half the width of the interval of a sum of independent means."""
    from scipy.special import stdtrit

    variances = np.array([part.var(ddof=1) / len(part) for part in parts])
    total = variances.sum()
    if total == 0.0:
        return 0.0
    freedom = total**2 / (variances**2 / np.array([len(part) - 1 for part in parts])).sum()
    return float(stdtrit(max(1.0, freedom * kept), 0.975) * np.sqrt(total))
