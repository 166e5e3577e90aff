"""Plots of the elastic study (matplotlib, the extra `docs`)."""

from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, Any]


def draw(out: Path, rows: list[Row], config: Any) -> None:
    """Write shares.png (figure 4.4), complexity.png (figure 4.9) and lengths.png; write nothing without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    blocks = [row for row in rows if row["what"] == "block"]
    if blocks:
        _shares(out, rows, config)
        _complexity(out, blocks, config)
        _lengths(out, blocks, config)


def _panels(config: Any) -> Any:
    from matplotlib import pyplot

    count = len(config.thresholds)
    figure, axes = pyplot.subplots(1, count, figsize=(3.2 * count, 3), squeeze=False)
    for axis, threshold in zip(axes[0], config.thresholds, strict=True):
        axis.set_title(f"error at most {threshold:g}", fontsize=9)
    return figure, axes[0]


def _mean_by(rows: list[Row], key: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of `key`, ascending, and the means over seeds of a figure at each."""
    at = sorted({row[key] for row in rows})
    return np.array(at), np.array([np.mean([row[name] for row in rows if row[key] == value]) for value in at])


def _shares(out: Path, rows: list[Row], config: Any) -> None:
    from flexlam_rl.eval.suite.plots import save

    figure, axes = _panels(config)
    for axis, threshold in zip(axes, config.thresholds, strict=True):
        caps = [row for row in rows if row["what"] == "cap" and row["threshold"] == threshold]
        lengths, satisfied = _mean_by(caps, "cap", "share")
        axis.plot(_mean_by(caps, "cap", "tokens")[1], satisfied, label="adaptive, up to a cap")
        axis.plot(lengths, _mean_by(caps, "cap", "share at the cap")[1], linestyle="--", label="same model, constant")
        constants = [row for row in rows if row["what"] == "constant" and row["threshold"] == threshold]
        if constants:
            axis.plot(*_mean_by(constants, "length", "share"), marker="o", label="trained for one length")
        axis.set_xlabel("tokens per block, mean")
        axis.set_ylim(-0.02, 1.02)
    axes[0].set_ylabel("share of blocks that meet it")
    axes[0].legend(fontsize=7)
    save(figure, out / "shares.png")


def _complexity(out: Path, blocks: list[Row], config: Any) -> None:
    from flexlam_rl.eval.suite.plots import save

    figure, axes = _panels(config)
    for axis, threshold in zip(axes, config.thresholds, strict=True):
        here = [row for row in blocks if row["threshold"] == threshold]
        for task in dict.fromkeys(row["task"] for row in here):
            mine = [row for row in here if row["task"] == task]
            axis.scatter([row["complexity"] for row in mine], [row["length"] for row in mine], s=4, label=task)
        axis.set_xlabel("strength of edges")
    axes[0].set_ylabel("tokens")
    axes[0].legend(fontsize=5)
    save(figure, out / "complexity.png")


def _lengths(out: Path, blocks: list[Row], config: Any) -> None:
    from flexlam_rl.eval.suite.plots import save

    figure, axes = _panels(config)
    most = max(row["length"] for row in blocks)
    for axis, threshold in zip(axes, config.thresholds, strict=True):
        here = [row for row in blocks if row["threshold"] == threshold]
        tasks = list(dict.fromkeys(row["task"] for row in here))
        each = [[row["length"] for row in here if row["task"] == task] for task in tasks]
        axis.hist(each, bins=np.linspace(0, most, 9), stacked=True, label=tasks)
        axis.set_xlabel("tokens")
    axes[0].set_ylabel("blocks")
    axes[0].legend(fontsize=5)
    save(figure, out / "lengths.png")
