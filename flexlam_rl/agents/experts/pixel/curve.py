"""The learning curve of a learned expert, beside the random policy and the scripted expert of the same engine."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.envs.domains.dmlab.returns import find_reference
from flexlam_rl.utils.files import atomic_file


def read_curve(run: Path) -> tuple[str, list[dict[str, Any]]]:
    """Level and evaluations (`steps`, `return`, `standard_error`, `returns`) of a folder that `flexlam expert train`
    wrote.

    Raises:
        ValueError: It holds none.
    """
    try:
        level: str = json.loads((run / "last" / "config.json").read_text(encoding="utf-8"))["network"]["level"]
        points = [json.loads(line) for line in (run / "curve.jsonl").read_text(encoding="utf-8").splitlines()]
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(
            f"{run} holds no evaluated training run: expected the folder that `flexlam expert train --out` named."
        ) from None
    return level, points


def draw_curve(run: Path, out: Path) -> None:
    """Draw mean returns over agent steps as PNG: the evaluations' means, and two standard errors to each side.

    Raises:
        ValueError: `run` holds no run.
    """
    level, points = read_curve(run)
    from matplotlib.figure import Figure

    steps, mean, error = (
        np.array([point[name] for point in points], float) for name in ("steps", "return", "standard_error")
    )
    reference = find_reference(level, "litelab")
    figure = Figure(figsize=(7, 4), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.fill_between(steps, mean - 2 * error, mean + 2 * error, alpha=0.25, linewidth=0)
    axes.plot(
        steps,
        mean,
        marker="o",
        markersize=3,
        label=f"recurrent PPO, {len(points[0]['returns'])} episodes a point, ± 2 standard errors",
    )
    axes.axhline(reference.mean, color="tab:green", linestyle="--", label=f"scripted expert ({reference.mean:.1f})")
    if reference.random is not None:
        axes.axhline(reference.random, color="tab:grey", linestyle=":", label=f"random policy ({reference.random:.1f})")
    axes.set(
        xlabel="agent steps",
        ylabel="return",
        title=f"{level} (litelab)",
        ylim=(min(0.0, float((mean - 2 * error).min())), None),
    )
    axes.legend(loc="center right", fontsize=8)
    with atomic_file(out) as file:
        figure.savefig(file, format="png")
