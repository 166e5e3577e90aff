"""Tables and curves of return against mean tokens.

The unit is the training seed: figures of several bundles are averaged, with the standard error over them.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.eval.studies.study import Rows
from flexlam_rl.eval.suite.results import RESULTS, TIMING, read_results
from flexlam_rl.eval.suite.table import summaries_of
from flexlam_rl.utils.files import write_atomically
from flexlam_rl.utils.tabular import csv_bytes

KEPT, SHARE = 0.95, 1 / 3
"""Share of the return at M, minus random, that a chosen budget must keep, and share of M tokens that it may spend."""


def read_rows(path: Path) -> Rows:
    """Read a job's rows.

    Raises:
        ValueError: The rows have not been measured yet.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing: the ranking comes first.")
    rows: Rows = json.loads(path.read_bytes())
    return rows


def played_rows(folder: Path, number: int) -> Rows:
    """Read one row per budget of a finished suite: "bundle", "budget", "tokens", "history_tokens" (the codes of past
    blocks per decision, None for whole blocks), "iqm", "iqm_minus_random", "milliseconds".
    """
    record = read_results(folder)
    timing = json.loads((folder / TIMING).read_bytes())["milliseconds_a_step_of_the_batch"]
    history = record["decoding"].get("history")
    rows = []
    for title, summary in summaries_of(record).items():
        if "iqm" not in summary:
            continue
        above = summary["iqm_minus_random"]
        rows.append({
            "bundle": number,
            "budget": title.partition("@")[2] + (f", history {history}" if history else ""),
            "tokens": record["behaviour"][title]["tokens"],
            "history_tokens": record["behaviour"][title].get("history_tokens"),
            "iqm": summary["iqm"]["value"],
            "iqm_minus_random": None if above is None else above["value"],
            "milliseconds": timing.get(title),
        })  # fmt: skip
    return rows


def averaged(rows: Rows) -> Rows:
    """Average rows over bundles, with chosen and fixed budgets matched by name, and random ones by their order."""
    groups: dict[str, Rows] = {}
    seen: dict[tuple[int, str], int] = {}
    for row in rows:
        kind = str(row["budget"]).partition(":")[0]
        name = str(row["budget"])
        if kind == "random":  # the mean of a random budget differs between bundles
            place = seen[row["bundle"], kind] = seen.get((row["bundle"], kind), 0) + 1
            name = f"random {place}"
        groups.setdefault(name, []).append(row)
    out = []
    for name, group in groups.items():
        line: dict[str, Any] = {"budget": name, "bundles": len(group)}
        for key in ("tokens", "history_tokens", "iqm", "iqm_minus_random", "milliseconds"):
            values = [row[key] for row in group if row.get(key) is not None]
            line[key] = float(np.mean(values)) if values else None
            line[f"{key}_error"] = float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
        out.append(line)
    return out


def verdicts(rows: Rows) -> list[str]:
    """Say in sentences which of the aims are reached, from the rows of `averaged`."""
    fixed = sorted((row["tokens"], row["iqm_minus_random"]) for row in rows if str(row["budget"]).isdigit())
    fixed = [point for point in fixed if point[1] is not None]
    chosen = [row for row in rows if str(row["budget"]).startswith("auto") and row["iqm_minus_random"] is not None]
    if not fixed or not chosen:
        return []
    most, whole = fixed[-1]
    tokens, returns = zip(*fixed, strict=True)
    said = []
    for row in chosen:
        at = float(np.interp(row["tokens"], tokens, returns))
        best = max([at, *(value for k, value in fixed if k <= row["tokens"])])
        verb = "is at least" if row["iqm_minus_random"] >= best else "is below"
        share = row["iqm_minus_random"] / whole if whole > 0 else float("nan")
        reached = share >= KEPT and row["tokens"] <= SHARE * most
        spent, least = row["tokens"], row["iqm_minus_random"]
        words = (
            f"{row['budget']}: {spent:.2f} codes per decision",
            f"return minus random {least:.1f} {verb} the best fixed budget's of no more codes ({best:.1f})",
            f"it keeps {share:.0%} of K = {most:g} with {spent / most:.0%} of its codes",
            f"{KEPT:.0%} with a third are {'reached' if reached else 'not reached'}.",
        )
        said.append("; ".join(words))
    return [*said, *_about_history(rows, whole, most)]


def _about_history(rows: Rows, whole: float, slots: float) -> list[str]:
    """Say what became of the return when past blocks were cut at k*."""
    return [
        f"{row['budget']}: {row['history_tokens']:.2f} codes of each past block instead of {slots:g}; return minus "
        f"random {row['iqm_minus_random']:.1f}, {whole:.1f} with whole blocks."
        for row in rows
        if "history" in str(row["budget"]) and row["iqm_minus_random"] is not None
    ]


def write_report(
    out: Path, bundles: int, folder: Callable[[Any], Path], job: Callable[[int, str], Any], episodes: int
) -> str:
    """Write rankings and returns as CSV, JSON and PNG.

    Args:
        out: Folder of the study.
        bundles: Number of bundles.
        folder: Function that returns the folder of a suite.
        job: Function that makes a job.
        episodes: Number of episodes per task, for the title.

    Returns:
        The text to print.
    """
    ranked = {
        number: read_rows(path)
        for number in range(bundles)
        if (path := out / "results" / f"{job(number, 'ranking').name}.json").is_file()
    }
    played = [
        row
        for number in range(bundles)
        for kind in ("suite", "random", "history")
        if (folder(job(number, kind)) / RESULTS).is_file()
        for row in played_rows(folder(job(number, kind)), number)
    ]
    means = averaged(played)
    lines = verdicts(means)
    flat = [{"bundle": number, "calibration": None, **row} for number, rows in ranked.items() for row in rows]
    if flat:
        write_atomically(out / "ranking.csv", csv_bytes(flat))
    if means:
        write_atomically(out / "returns.csv", csv_bytes(means))
    record = {"ranking": flat, "played": played, "averaged": means, "verdicts": lines}
    write_atomically(out / "summary.json", (json.dumps(record, indent=1) + "\n").encode())
    _draw(out / "tokens.png", ranked, means, episodes)
    table = [
        f"{row['budget']}: {row['tokens']:.2f} codes, return {row['iqm']:.1f} %, {row['milliseconds']:.1f} ms"
        for row in means
        if row["milliseconds"] is not None
    ]
    return "\n".join([*table, *lines])


def _draw(path: Path, ranked: dict[int, Rows], means: Rows, episodes: int) -> None:
    """Draw agreement on video, and return in play, over mean tokens; draw nothing without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    from flexlam_rl.eval.suite.plots import save

    figure, axes = pyplot.subplots(1, 1 + bool(means), figsize=(4.2 * (1 + bool(means)), 3.2), squeeze=False)
    colors = {"regressed": "C0", "change": "C1", "entropy": "C2", "fixed": "k", "random": "0.6", "hindsight": "C3"}
    for number, rows in ranked.items():
        for rule, color in colors.items():
            points = sorted((row["tokens"], row["agreement"]) for row in rows if row["rule"] == rule)
            if points:
                style = {"marker": "*"} if len(points) == 1 else {}
                axes[0, 0].plot(*zip(*points, strict=True), color=color, label=None if number else rule, **style)
    axes[0, 0].set_xlabel("codes per decision, mean")
    axes[0, 0].set_title("action as of all codes, on recorded video", fontsize=9)
    axes[0, 0].legend(fontsize=7)
    for kind, marker in (("", "o"), ("auto", "s"), ("random", "x")) if means else ():
        group = [row for row in means if (str(row["budget"]).isdigit() if not kind else row["budget"].startswith(kind))]
        if group:
            group.sort(key=lambda row: row["tokens"])
            at, values = ([row[key] for row in group] for key in ("tokens", "iqm"))
            errors = [row["iqm_error"] or 0.0 for row in group]
            axes[0, 1].errorbar(at, values, yerr=errors, marker=marker, label=kind or "fixed", capsize=2)
    if means:
        axes[0, 1].set_xlabel("codes per decision, mean")
        axes[0, 1].set_title(f"normalised return, {episodes} episodes per level", fontsize=9)
        axes[0, 1].legend(fontsize=7)
    save(figure, path)
