"""Measure the coverage of the suite's 95% intervals, beside other intervals, by resampling finished suites.

The episodes of a finished suite are taken as the population. Smaller suites are drawn from them with replacement, and
it is counted how often an interval contains the aggregate of the population, and an interval of a difference the true
difference.

Usage: python -m benchmarks.interval_coverage [SUITE ...] [--episodes 2,5,10,20,50] [--draws N] [--json FILE]
"""

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from flexlam_rl.eval.suite import statistics as stats
from flexlam_rl.eval.suite.results import read_results
from flexlam_rl.eval.suite.table import by_column, normalised
from flexlam_rl.utils.number_lists import number_list
from flexlam_rl.utils.provenance import machine

CONTROLS = tuple(Path("results/controls") / name for name in ("random", "previous-action", "expert"))
STATISTICS = {"interquartile mean": stats.interquartile_mean, "mean of levels": stats.mean_of_levels}
RESAMPLINGS = 300
Z = scipy_stats.norm.ppf([0.025, 0.975])


def population(suite: Path) -> np.ndarray:
    """Read the normalised returns of a suite's first column: (L, E)."""
    record = read_results(suite)
    returns = next(iter(by_column(record["episodes"], "all").values()))
    return np.stack(list(normalised(returns, record["scene"]["engine"]).values()))


def drawn(scores: np.ndarray, episodes: int, rng: np.random.Generator, count: int = 1) -> np.ndarray:
    """Draw suites of `episodes` per level from `scores` (L, E): (count, L, episodes)."""
    picks = rng.integers(scores.shape[1], size=(count, len(scores), episodes))
    return np.take_along_axis(scores[None], picks, -1)


def many(scores: np.ndarray, statistic: stats.Statistic) -> tuple[np.ndarray, np.ndarray]:
    """Compute a statistic and its standard error for each of many suites (B, L, E), as `stats` does for one."""
    episodes = scores.shape[2]
    pooled = np.sort(scores.reshape(len(scores), -1), -1)
    total = pooled.shape[1]
    cut = int(stats.TRIMMED * total) if statistic is stats.interquartile_mean else 0
    low, high = pooled[:, cut, None, None], pooled[:, total - cut - 1, None, None]
    parts = np.clip(scores, low, high) * episodes / (total - 2 * cut)
    return pooled[:, cut : total - cut].mean(-1), np.sqrt(parts.var(-1, ddof=1).sum(-1) / episodes)


def bootstrap(scores: np.ndarray, statistic: stats.Statistic, rng: np.random.Generator) -> dict[str, Any]:
    """Compute the other intervals of a suite (L, E), all from one stratified bootstrap.

    Returns:
        "percentile": rliable's; "widened": the same, widened by the bias of the variance with few episodes; "bca":
        bias-corrected and accelerated; "bootstrap-t": studentized.
    """
    (value,), (error,) = many(scores[None], statistic)
    values, errors = many(drawn(scores, scores.shape[1], rng, RESAMPLINGS), statistic)
    percentile = np.quantile(values, [0.025, 0.975])
    found = {"percentile": percentile, "widened": value + (percentile - value) * np.sqrt(1 + 1 / (scores.shape[1] - 1))}
    below = (values < value).mean() + 0.5 * (values == value).mean()
    shift = scipy_stats.norm.ppf(np.clip(below, 1 / RESAMPLINGS, 1 - 1 / RESAMPLINGS))
    parts = np.stack(stats.influences(list(scores), statistic))
    centred = (parts - parts.mean(-1, keepdims=True)) / scores.shape[1]
    skew = (centred**3).sum() / max(6 * (centred**2).sum() ** 1.5, 1e-300)
    ends = scipy_stats.norm.cdf(shift + (shift + Z) / (1 - skew * (shift + Z)))
    found["bca"] = np.quantile(values, ends)
    ratios = (values - value)[errors > 0] / errors[errors > 0]
    found["bootstrap-t"] = value - error * np.quantile(ratios, [0.975, 0.025]) if len(ratios) else percentile
    return found


def coverage(scores: np.ndarray, episodes: int, draws: int) -> list[dict[str, Any]]:
    """Measure the coverage of the suite's interval ("student") and the others at a number of episodes."""
    rows = []
    for name, statistic in STATISTICS.items():
        truth, rng = statistic(list(scores)), np.random.default_rng(0)
        ends: dict[str, list[Any]] = {}
        for sample in drawn(scores, episodes, rng, draws):
            found = {"student": stats.interval_ends(list(sample), statistic), **bootstrap(sample, statistic, rng)}
            for method, interval in found.items():
                ends.setdefault(method, []).append(interval)
        for method, intervals in ends.items():
            low, high = np.array(intervals).T
            held, width = float(((low <= truth) & (truth <= high)).mean()), float(np.median(high - low))
            row = {"episodes": episodes, "aggregate": name, "method": method, "draws": draws}
            rows.append({**row, "coverage": held, "median_width": width})
    return rows


def difference_coverage(first: np.ndarray, second: np.ndarray, episodes: int, draws: int) -> list[dict[str, Any]]:
    """Measure the coverage of the suite's interval for the difference of two suites, unpaired and paired."""
    rows = []
    for name, statistic in STATISTICS.items():
        truth = statistic(list(second)) - statistic(list(first))
        for paired in (False, True):
            one = drawn(first, episodes, np.random.default_rng(0), draws)
            two = drawn(second, episodes, np.random.default_rng(0 if paired else 1), draws)
            ends = (stats.difference_ends(list(a), list(b), statistic, paired) for a, b in zip(one, two, strict=True))
            held = sum(low <= truth <= high for low, high in ends)
            row = {"episodes": episodes, "aggregate": name, "paired": paired, "draws": draws}
            rows.append({**row, "coverage": held / draws})
    return rows


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", type=Path, default=list(CONTROLS), help="finished suites of many episodes")
    parser.add_argument("--episodes", default="2,5,10,20,50", help="episodes per level of the suites that are drawn")
    parser.add_argument("--draws", type=int, default=2000, help="suites drawn for each number of episodes")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    truths = {str(path): population(path) for path in options.suites}
    singles, pairs = [], []
    names = list(truths)
    for episodes in number_list("episodes", options.episodes, 2):
        for name in names:
            for row in coverage(truths[name], episodes, options.draws):
                singles.append({"suite": name, **row})
                print(
                    f"{episodes:3} {Path(name).name:16} {row['aggregate']:18} {row['method']:12} {row['coverage']:.3f}",
                    flush=True,
                )
        for one, two in itertools.pairwise(names):
            for row in difference_coverage(truths[one], truths[two], episodes, options.draws):
                pairs.append({"first": one, "second": two, **row})
                words = f"{Path(two).name} less {Path(one).name}, {'paired' if row['paired'] else 'unpaired'}"
                print(f"{episodes:3} {row['aggregate']:18} {words:44} {row['coverage']:.3f}", flush=True)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        record = {"machine": machine(), "resamplings": RESAMPLINGS, "intervals": singles, "differences": pairs}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
