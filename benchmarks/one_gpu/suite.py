"""Part (e): the suite with the trained policy, budget by budget, with as many episodes as the time allows."""

import csv
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.one_gpu import collecting
from benchmarks.one_gpu.session import Session
from flexlam_rl.eval.suite.command import run as play_suite
from flexlam_rl.eval.suite.options import Options

MOST_ROWS = 512


def play(session: Session, bundle: Path, budget: int, episodes: int) -> dict[str, Any]:
    """Play at a budget; episodes that were played before are kept.

    Returns:
        Seconds, milliseconds per step of the batch, and the summary of each column of the table.
    """
    names = tuple(collecting.tasks(session.size.suite_tasks))
    rows = min(MOST_ROWS, len(names) * episodes)
    out = bundle.parent / f"suite-k{budget}"
    began = time.perf_counter()
    play_suite(
        Options(
            budget=str(budget), checkpoint=str(bundle), tasks=names, episodes=episodes, engine="litelab", out=out,
            device=session.device, num_envs=rows, chunk=rows, plots=False,
        )
    )  # fmt: skip
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    timing = json.loads((out / "timing.json").read_text(encoding="utf-8"))
    return {
        "budget": budget,
        "episodes_per_task": episodes,
        "environments": rows,
        "seconds": time.perf_counter() - began,
        "timing": timing,
        "summary": {name: value for name, value in results.items() if name != "episodes"},
        "csv": str(out / "episodes.csv"),
    }


def run(session: Session, figures: dict[str, Any]) -> None:
    """Play all budgets with few episodes, then with more while there is time."""
    bundle = session.work / "seed-0" / "bundle"
    if not bundle.is_dir():
        raise RuntimeError("There is no policy to play: the part `train` comes first.")
    slowest = 0.0
    for episodes in session.size.episodes:
        for budget in session.size.suite_budgets:
            key = f"k{budget}x{episodes}"
            if key in figures:
                continue
            if session.left() < 1.3 * slowest:
                return
            figures[key] = play(session, bundle, budget, episodes)
            slowest = max(slowest, figures[key]["seconds"])
            session.save("suite", figures)


def episodes_of(figures: dict[str, Any]) -> list[dict[str, str]]:
    """Return all episodes that were played, as rows of a table."""
    files = dict.fromkeys(row["csv"] for row in figures.values() if isinstance(row, dict) and "csv" in row)
    rows: list[dict[str, str]] = []
    for path in files:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows += [{"run": Path(path).parent.parent.name, **row} for row in csv.DictReader(file)]
    return rows
