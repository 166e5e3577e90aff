"""The learning curves of a pixel expert: evaluations of each level beside the scripted expert of the same engine."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.utils.files import atomic_file


def read_curve(run: Path) -> tuple[list[int], dict[str, list[float]]]:
    """Read the evaluations of a folder that `flexlam expert train` wrote.

    Returns:
        The agent steps of the evaluations, and each level's mean returns at these.

    Raises:
        ValueError: The folder holds no evaluations.
    """
    try:
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    except (FileNotFoundError, NotADirectoryError):
        lines = []
    points = [line for line in lines if line.get("part") == "eval"]
    if not points:
        raise ValueError(
            f"{run} holds no evaluated training run: expected the folder that `flexlam expert train --out` named."
        )
    levels = [name.removeprefix("return/") for name in points[0] if name.startswith("return/")]
    return [point["step"] for point in points], {
        level: [point[f"return/{level}"] for point in points] for level in levels
    }


def _environment(run: Path) -> EnvSpec:
    """Return the record of the environments that a run was trained in, as its last policy names it."""
    path = run / "last" / "config.json"
    if not path.exists():
        return find_domain("dmlab").resolve(EnvSpec(engine="litelab"))
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return EnvSpec.from_json(record["config"]["environment"])


def draw_curve(run: Path, out: Path) -> None:
    """Draw the returns of a run over its agent steps as a PNG: a thin line per task and a thick one for their mean.

    Returns are in percent of the scripted expert's, after subtracting the random policy's return from both.

    Args:
        run: Folder that `flexlam expert train` wrote.
        out: File to write.

    Raises:
        ValueError: `run` holds no evaluations, or a task has no reference return.
    """
    steps, returns = read_curve(run)
    spec = _environment(run)
    domain = find_domain(spec.domain)
    references = {task: domain.reference(task, spec) for task in returns}
    unknown = [task for task, reference in references.items() if reference is None]
    if unknown:
        raise ValueError(
            f"{run} was trained on {unknown[0]!r} of {spec.domain}, which has no reference return: a curve in percent "
            "of it cannot be drawn."
        )
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    rows = []
    for level, values in returns.items():
        reference = references[level]
        assert reference is not None
        rows.append([reference.percent(value, minus_random=True) for value in values])
        axes.plot(steps, rows[-1], marker="o", markersize=2, linewidth=0.8, label=level)
    if len(rows) > 1:
        axes.plot(steps, np.mean(rows, 0), color="black", linewidth=2, label="mean")
    axes.axhline(0, color="tab:grey", linestyle=":")
    axes.set(xlabel="agent steps", ylabel="percent of the scripted expert", title=f"Pixel expert ({spec.engine})")
    axes.legend(fontsize=7, loc="upper left")
    with atomic_file(out) as file:
        figure.savefig(file, format="png")
