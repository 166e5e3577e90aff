"""Aggregates of normalised returns with stratified bootstrap intervals.

As in rliable (Agarwal et al. 2021): the interquartile mean is the mean of the middle half of all episodes of all levels; intervals
come from resampling episodes within each level. rliable itself would bring arch, seaborn and pandas for these lines.

Legend: `L` levels, `E` episodes of one (levels may differ in it), `B` resamplings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLINGS = 2000


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % interval; the ends are None where a level has a single episode, which tells nothing of its spread."""

    value: float
    low: float | None
    high: float | None


def standard_error(values: np.ndarray) -> float:
    """Standard error of the mean; not a number for a single value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def mean_of_levels(scores: Sequence[np.ndarray]) -> float:
    """Mean over levels of each level's mean, the paper's aggregate; scores are L arrays (E,)."""
    return float(np.mean([level.mean() for level in scores]))


def interquartile_mean(scores: Sequence[np.ndarray]) -> float:
    """Mean of the middle half of all episodes, every level counting the same; scores are L arrays (E,).

    With equal numbers of episodes it is the mean without the lowest and the highest quarter. Otherwise each episode weighs 1 / E, and
    the quarters are quarters of the weight.
    """
    values = np.concatenate(scores)
    weights = np.concatenate([np.full(len(level), 1.0 / len(level)) for level in scores])
    order = np.argsort(values, kind="stable")
    values, weights = values[order], weights[order] / weights.sum()
    upper = weights.cumsum()
    inside = np.clip(np.minimum(upper, 0.75) - np.maximum(upper - weights, 0.25), 0.0, None)
    return float((values * inside).sum() / inside.sum())


def bootstrap(
    scores: Sequence[np.ndarray], statistic: Callable[[Sequence[np.ndarray]], float], resamplings: int = RESAMPLINGS, seed: int = 0
) -> Interval:
    """A statistic of L arrays (E,) with its 95 % interval; episodes are resampled within each level."""
    if min(map(len, scores)) < 2:
        return Interval(statistic(scores), None, None)
    return _interval(statistic(scores), _resampled(scores, statistic, resamplings, seed))


def difference(
    first: Sequence[np.ndarray],
    second: Sequence[np.ndarray],
    statistic: Callable[[Sequence[np.ndarray]], float],
    paired: bool = False,
    resamplings: int = RESAMPLINGS,
    seed: int = 0,
) -> Interval:
    """`statistic(second) - statistic(first)` with its 95 % interval; the same levels in the same order.

    `paired` says that both hold the same episodes in the same order: they are resampled together, which takes the luck of the mazes out.
    """
    gap = statistic(second) - statistic(first)
    if min(len(level) for level in (*first, *second)) < 2:
        return Interval(gap, None, None)
    other = seed if paired else seed + 1
    return _interval(gap, _resampled(second, statistic, resamplings, other) - _resampled(first, statistic, resamplings, seed))


def _interval(value: float, drawn: np.ndarray) -> Interval:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def _resampled(scores: Sequence[np.ndarray], statistic: Callable[[Sequence[np.ndarray]], float], resamplings: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    out = np.empty(resamplings)
    for b in range(resamplings):
        out[b] = statistic([level[rng.integers(len(level), size=len(level))] for level in scores])
    return out
