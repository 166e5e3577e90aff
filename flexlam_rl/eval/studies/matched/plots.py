"""The plots of the layers: one dot per seed and lines through the means; for the audit, correlations with intervals."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.eval.studies.matched.contrasts import METRICS
from flexlam_rl.utils.pictures import write_figure


def draw(rows: Sequence[dict[str, Any]], layer: str, path: Path) -> None:
    """Draw the first metric over the budget, one panel per kind of labels and amount; draw nothing without matplotlib.

    Args:
        rows: Rows of the layer.
        layer: Name of the layer.
        path: PNG file to write.
    """
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    metric, words = next(iter(METRICS[layer].items()))
    kinds = sorted({row["labels"] for row in rows}, reverse=True)
    amounts = sorted({row["amount"] for row in rows})
    series = list(dict.fromkeys(map(_series, rows)))
    budgets = sorted({row["budget"] for row in rows if row["budget"]})
    figure, axes = pyplot.subplots(
        len(kinds), len(amounts), figsize=(1 + 3.1 * len(amounts), 0.8 + 2.5 * len(kinds)), layout="constrained",
        squeeze=False, sharex=True, sharey=True,
    )  # fmt: skip
    for i, kind in enumerate(kinds):
        for j, amount in enumerate(amounts):
            axis = axes[i][j]
            for number, name in enumerate(series):
                here: dict[int, list[float]] = {}
                for row in rows:
                    if (row["labels"], row["amount"], _series(row)) == (kind, amount, name) and row["budget"]:
                        here.setdefault(row["budget"], []).append(row[metric])
                at, colour = sorted(here), f"C{number}"
                shift = 2 ** (0.12 * (number - (len(series) - 1) / 2))
                axis.plot([k * shift for k in at], [np.mean(here[k]) for k in at], color=colour, label=name, lw=1)
                for k in at:
                    axis.plot([k * shift] * len(here[k]), here[k], ".", color=colour, markersize=5)
            axis.set_xscale("log", base=2)
            axis.set_xticks(budgets, [str(k) for k in budgets])
            axis.set_title(f"{kind} labels x {amount}", fontsize=9)
            if i == len(kinds) - 1:
                axis.set_xlabel("budget K")
        axes[i][0].set_ylabel(words)
    axes[0][0].legend(fontsize=7)
    write_figure(path, figure, 110)
    pyplot.close(figure)


def draw_correlations(found: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the correlations within equal budgets, one panel per outcome, with the figures in the order of their mean
    correlation; draw nothing without matplotlib.

    Args:
        found: Rows of `correlations`.
        path: PNG file to write.
    """
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    known = [row for row in found if row["within"]["value"] is not None]
    outcomes = list(dict.fromkeys((row["layer"], row["labels"], row["amount"], row["metric"]) for row in known))
    means: dict[str, list[float]] = {}
    for row in known:
        means.setdefault(row["figure"], []).append(row["within"]["value"])
    figures = sorted(means, key=lambda name: float(np.mean(means[name])))
    sides = (1.8 + 1.7 * len(outcomes), 0.9 + 0.22 * len(figures))
    drawn, axes = pyplot.subplots(
        1, max(1, len(outcomes)), figsize=sides, layout="constrained", squeeze=False, sharey=True
    )
    for axis, outcome in zip(axes[0], outcomes, strict=False):
        for row in known:
            if (row["layer"], row["labels"], row["amount"], row["metric"]) == outcome:
                at, value = figures.index(row["figure"]), row["within"]
                sure = value["low"] > 0 or value["high"] < 0
                axis.plot([value["low"], value["high"]], [at, at], color="C0" if sure else "0.7", lw=1)
                axis.plot(value["value"], at, "o", color="C0" if sure else "0.7", markersize=4)
        axis.axvline(0, color="0.5", lw=0.5)
        axis.set_xlim(-1, 1)
        axis.set_title(f"{outcome[0]}, {outcome[3]}\n{outcome[1]} labels x {outcome[2]}", fontsize=8)
    axes[0][0].set_yticks(range(len(figures)), [name.replace("_", " ") for name in figures], fontsize=8)
    drawn.supxlabel("rank correlation between models of equal K, 95 %", fontsize=8)
    write_figure(path, drawn, 110)
    pyplot.close(drawn)


def _series(row: dict[str, Any]) -> str:
    """Return the name of a row's line: one for Fixed-K models of all K, and one per other model."""
    title: str = row["title"]
    return "Fixed-K" if title.startswith("Fixed-") and "," not in title else title
