"""`python -m eval.studies.budgets SUITE --data DIR`: show return, translator loss and milliseconds over the budget, in
one table and one plot.

Returns come from a finished suite of several budgets, and the translator's loss from held-out labels of the data.
Milliseconds are measured here by the paper's protocol (`eval.latency`). Budgets that are chosen at each step are left
out; `flexlam study budgets` compares these.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from flexlam_rl.eval.suite.results import read_results
from flexlam_rl.eval.suite.table import AGGREGATES, summaries_of
from flexlam_rl.utils.command_line import run as run_command
from flexlam_rl.utils.tabular import csv_bytes


@dataclass(frozen=True, kw_only=True)
class Options:
    """Show return, translator loss and milliseconds per decision over the budget."""

    suite: tyro.conf.Positional[Path]
    """Folder of a finished suite with several budgets."""
    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """Folder for budgets.json, budgets.csv and budgets.png."""
    checkpoint: str | None = None
    """Bundle that played; by default the one that comes with the package."""
    data: Path | None = None
    """Rollouts with labels, for the translator's loss."""
    labels: str = "standard"
    """Name of the label set."""
    device: str = "cpu"
    """torch device."""
    steps: int = 100
    """Number of timed steps per budget."""


def translator_losses(
    bundle: Any, data: Path, labels: str, budgets: list[int], device: str
) -> dict[int, tuple[float, float]]:
    """Measure loss and accuracy (NaN for continuous actions) of the translator at each budget, on the held-out part of
    a label set.
    """
    import torch

    from flexlam_rl.datasets import load_labels, open_rollouts
    from flexlam_rl.nn.action_head import action_figures, action_losses
    from flexlam_rl.train.actions import labelled
    from flexlam_rl.train.source import to_device

    rollouts, spec = open_rollouts(data, split="train"), bundle.translator.config.actions
    batch = to_device(labelled(rollouts, load_labels(rollouts, labels, "validation"), spec), device)
    out = {}
    with torch.no_grad():
        codes = bundle.lam.encode(batch["obs"], batch["next_obs"])
        for k in budgets:
            outputs = bundle.translator(bundle.lam.keep_prefix(codes, k), batch["previous"], batch["obs"])
            accuracy = action_figures(outputs, batch["action"], spec).get("accuracy", torch.tensor(float("nan")))
            out[k] = (float(action_losses(outputs, batch["action"], spec).mean()), float(accuracy.mean()))
    return out


def run(options: Options) -> int:
    """Write the table and the plot.

    Raises:
        ValueError: The suite is unfinished, has no budgets, or was played by another checkpoint.
    """
    from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
    from flexlam_rl.eval.latency import describe_machine, measure_latency
    from flexlam_rl.utils.files import write_atomically

    record = read_results(options.suite)
    every = {title.partition("@")[2]: summary for title, summary in summaries_of(record).items()}
    columns = {int(budget): summary for budget, summary in every.items() if budget.isdigit()}
    if not columns:
        raise ValueError(f"{options.suite} is of a policy without budgets ({record['policy']!r}).")
    policy = LatentActionPolicy.from_pretrained(options.checkpoint, device=options.device, deterministic=True)
    if policy.bundle.hash != record["checkpoint"]["hash"]:
        raise ValueError(
            f"{options.suite} was played by the checkpoint {record['checkpoint']['hash'][:12]}, given is "
            f"{policy.bundle.hash[:12]}."
        )
    budgets = sorted(columns)
    losses = (
        {}
        if options.data is None
        else translator_losses(policy.bundle, options.data, options.labels, budgets, options.device)
    )
    rows: list[dict[str, Any]] = []
    for k in budgets:
        row: dict[str, Any] = {"budget": k}
        for key in AGGREGATES:
            found = columns[k].get(key, {})
            row |= {key: found.get("value"), f"{key}_low": found.get("low"), f"{key}_high": found.get("high")}
        row |= {"translator_loss": losses[k][0], "translator_accuracy": losses[k][1]} if losses else {}
        latency = measure_latency(policy, k, 1, "explore_goal_locations_small", options.steps)
        row |= {"milliseconds": latency.mean, "milliseconds_deviation": latency.deviation}
        rows.append(row)
        print(", ".join(f"{name} {value:.3g}" for name, value in row.items() if value is not None), flush=True)
    write_atomically(options.out / "budgets.csv", csv_bytes(rows))
    about = {
        "suite": record["scene"],
        "checkpoint": policy.bundle.hash,
        **describe_machine(options.device),
        "rows": rows,
    }
    write_atomically(options.out / "budgets.json", (json.dumps(about, indent=1) + "\n").encode())
    draw(rows, options.out / "budgets.png", f"{record['scene']['engine']} ({record['scene']['textures']})")
    return 0


def draw(rows: list[dict[str, Any]], path: Path, what: str) -> None:
    """Draw one panel for returns, one for the translator's loss if it is known, and one for milliseconds; draw nothing
    without matplotlib.
    """
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    from flexlam_rl.eval.suite.plots import save

    panels = [
        ("iqm", "normalised return, interquartile mean"),
        ("translator_loss", "translator loss"),
        ("milliseconds", "ms per decision, batch 1"),
    ]
    panels = [panel for panel in panels if rows[0].get(panel[0]) is not None]
    figure, axes = pyplot.subplots(1, len(panels), figsize=(3.4 * len(panels), 3), squeeze=False)
    at = [row["budget"] for row in rows]
    for axis, (name, words) in zip(axes[0], panels, strict=True):
        values = np.array([row[name] for row in rows])
        errors = None
        if name == "iqm":
            low, high = (
                [row[name] if row[end] is None else row[end] for row in rows] for end in ("iqm_low", "iqm_high")
            )
            errors = np.maximum(0, [values - low, high - values])
        axis.errorbar(at, values, yerr=errors, marker="o", capsize=3)
        axis.set_xscale("log", base=2)
        axis.set_xticks(at, [str(k) for k in at])
        axis.set_xlabel("budget K")
        axis.set_title(words, fontsize=9)
    figure.suptitle(what, fontsize=9)
    save(figure, path)


if __name__ == "__main__":
    sys.exit(run_command(Options, run, None, "python -m eval.studies.budgets"))
