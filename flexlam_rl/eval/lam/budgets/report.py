"""Tables, curves and pictures of k*.

Legend: `M` slots.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flexlam_rl.eval.lam.budgets.figures import ends
from flexlam_rl.eval.lam.budgets.stored import Shown
from flexlam_rl.utils.files import write_atomically


def line(title: str, figures: Mapping[str, Any]) -> str:
    """Write a level's figures in one line."""
    parts = [
        f"{title}: {figures['transitions']:,} transitions, mean k* {figures['mean']:.2f}, "
        f"tolerance met by {figures['met']:.1%}, {figures['evaluations']:.1f} evaluations each"
    ]
    parts += [f"{name} r = {r:.2f}" for name, r in figures["correlation"].items() if r is not None]
    parts += [f"k* {one['at']:.2f} at {one['count']} x {name}" for name, one in figures["events"].items()]
    return "; ".join(parts)


def write_report(
    out: Path, about: Mapping[str, Any], levels: Mapping[str, Any], shown: Mapping[str, Shown], count: int
) -> None:
    """Write budgets.json, one histogram per level, and each level's transitions with the lowest and highest k*.

    Args:
        out: Folder to write into.
        about: Description of what was searched, JSON values.
        levels: Results of `figures.summary`, by title.
        shown: Transitions that may be drawn, by title.
        count: Number of transitions to draw of each kind.
    """
    from flexlam_rl.models.flexlam.sheets import grid

    write_atomically(out / "budgets.json", (json.dumps({**about, "levels": levels}, indent=1) + "\n").encode())
    for title, part in shown.items():
        low, high = ends(part.found[:, 0], count)
        columns = {}
        for name, rows in (("least", low), ("most", high)):
            columns[f"{name}: k* {part.found[rows, 0].min()}..{part.found[rows, 0].max()}"] = part.frames[rows]
            columns[f"next ({name})"] = part.after[rows]
        length = min(len(low), len(high))
        grid(
            {
                name: torch.from_numpy(np.ascontiguousarray(frames[:length])).movedim(-1, 1)
                for name, frames in columns.items()
            },
            out / f"{title.replace('/', '-').replace(' ', '-')}.png",
        )
    _histograms(out / "histograms.png", levels)


def _histograms(path: Path, levels: Mapping[str, Any]) -> None:
    """Draw one panel per level; draw nothing without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    from flexlam_rl.eval.suite.plots import save

    columns = min(4, len(levels))
    rows = -(-len(levels) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(2.6 * columns, 1.9 * rows), squeeze=False)
    for axis in axes.flat[len(levels) :]:
        axis.axis("off")
    for axis, (title, figures) in zip(axes.flat, levels.items(), strict=False):
        counts = np.array(figures["histogram"])
        axis.bar(range(1, len(counts) + 1), counts / counts.sum())
        axis.set_title(f"{title}\nmean {figures['mean']:.1f}", fontsize=7)
        axis.set_xlabel("k*", fontsize=7)
        axis.tick_params(labelsize=6)
    save(figure, path)
