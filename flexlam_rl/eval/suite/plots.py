"""Plots of a suite in the style of the paper's Table 9 and Figure 3 (matplotlib, the extra `docs`)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.eval.suite.table import AGGREGATES
from flexlam_rl.utils.pictures import write_figure


def draw_suite(folder: Path, summaries: Mapping[str, Mapping[str, Any]], what: str) -> None:
    """Write levels.png (normalised return per level) and, for several columns, aggregate.png; write nothing without
    matplotlib.

    Args:
        folder: Folder of the files.
        summaries: Results of `summarise`, by column title.
        what: Text for the titles.
    """
    first = next(iter(summaries.values()))
    levels = [level for level, row in first["levels"].items() if "normalised" in row]
    if not levels:
        return
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    height, bars = 0.8 / len(summaries), np.arange(len(levels))
    figure, axes = pyplot.subplots(figsize=(8, 0.9 + 0.35 * len(levels) * max(1.0, len(summaries) / 2)))
    for i, (title, summary) in enumerate(summaries.items()):
        rows = [summary["levels"][level] for level in levels]
        errors = [row["normalised_error"] or 0.0 for row in rows]
        axes.barh(
            bars + (i - (len(summaries) - 1) / 2) * height,
            [row["normalised"] for row in rows],
            height,
            xerr=errors,
            label=title,
            capsize=2,
        )
    random = [first["levels"][level]["random_normalised"] for level in levels]
    axes.scatter(
        [np.nan if r is None else r for r in random],
        bars,
        marker="|",
        s=120,
        color="black",
        zorder=3,
        label="random policy",
    )
    axes.set_yticks(bars, [level.replace("_", " ") for level in levels])
    axes.invert_yaxis()
    axes.set_xlabel("normalised return (expert = 100), mean ± standard error")
    axes.set_title(what, fontsize=9)
    axes.legend(fontsize=8)
    save(figure, folder / "levels.png")
    if len(summaries) > 1:
        figure, axes = pyplot.subplots(figsize=(5, 3.2))
        for key, words in AGGREGATES.items():
            values = [s[key] for s in summaries.values()]
            at = np.array([v["value"] for v in values])
            low, high = (
                np.array([v["value"] if v[end] is None else v[end] for v in values]) for end in ("low", "high")
            )
            axes.errorbar(
                list(summaries), at, yerr=np.maximum(0, [at - low, high - at]), marker="o", capsize=3, label=words
            )
        if first.get("random_mean") is not None:
            axes.axhline(first["random_mean"], color="grey", linestyle=":", label="random policy, mean")
        axes.set_ylabel("normalised return, 95 % interval")
        axes.set_title(what, fontsize=9)
        axes.legend(fontsize=8)
        save(figure, folder / "aggregate.png")


def save(figure: Any, path: Path) -> None:
    """Write a figure as a small PNG, and close it."""
    from matplotlib import pyplot

    figure.tight_layout()
    write_figure(path, figure, 110)
    pyplot.close(figure)
