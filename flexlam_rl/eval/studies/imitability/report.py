"""Tables, verdicts and plots of what clones of videos reach."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.eval.studies.imitability.video import Video
from flexlam_rl.eval.suite.diagnostics import COUNTS, shares
from flexlam_rl.eval.suite.statistics import interval_ends, mean_of_levels
from flexlam_rl.utils.files import write_atomically
from flexlam_rl.utils.tabular import csv_bytes

WELL, HARDLY = 70.0, 30.0
"""Percent of the expert's return, minus random, from which a video counts as imitable, and below which it counts as
hardly imitable.
"""


def summarise(rows: Sequence[Mapping[str, Any]], recipes: Sequence[str]) -> list[dict[str, Any]]:
    """Compute one row per video and recipe.

    Args:
        rows: Rows of all results.
        recipes: Recipes, in the order of the table.

    Returns:
        Rows with "loss", "accuracy" and "accuracy_changes" on held-out video. Rows of clones that were played also have
        the shares of `eval.suite.diagnostics` and "kept": the return in percent of the expert's, after subtracting the
        random policy's from both, as a mean over levels; "low" and "high", its 95% interval (Student's t over episodes;
        the expert's and the random policy's means are taken as known); and "levels", each level's mean.
    """
    table = []
    for video in dict.fromkeys(row["video"] for row in rows):
        here = [row for row in rows if row["video"] == video]
        for recipe in recipes:
            mine = [row for row in here if row["recipe"] == recipe]
            held_out = next((row for row in mine if row["part"] == "held-out"), None)
            if held_out is None:
                continue
            entry = {"video": video, "recipe": recipe}
            entry |= {name: held_out[name] for name in ("loss", "accuracy", "accuracy_changes")}
            played = [row for row in mine if row["part"] == "episode"]
            if played:
                told = shares([dict(row) for row in played])
                entry |= {name: told[name] for name in ("agreement", "repeated", "tilted", "still")}
                entry |= _kept(played, here)
            table.append(entry)
    return table


def _kept(played: Sequence[Mapping[str, Any]], here: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    scores = {}
    for level in dict.fromkeys(row["level"] for row in played):
        low, high = (
            [row["return"] for row in here if row["recipe"] == who and row.get("level") == level]
            for who in ("random", "expert")
        )
        if low and high and np.mean(high) > np.mean(low):
            own = np.array([row["return"] for row in played if row["level"] == level])
            scores[level] = 100.0 * (own - np.mean(low)) / (np.mean(high) - np.mean(low))
    if not scores:
        return {}
    values = list(scores.values())
    ends = interval_ends(values, mean_of_levels) if min(map(len, values)) > 1 else (None, None)
    out = {"kept": mean_of_levels(values), "low": ends[0], "high": ends[1], "episodes": min(map(len, values))}
    return out | {"levels": {level: float(score.mean()) for level, score in scores.items()}}


def verdict(entries: Sequence[Mapping[str, Any]], name: str) -> str:
    """Say in two sentences whether a video can be imitated.

    Args:
        entries: Rows of `summarise` for one video.
        name: Name of its expert.
    """
    played = [entry for entry in entries if entry.get("kept") is not None]
    if not played:
        best = min(entries, key=lambda entry: entry["loss"])
        return (
            f"{name}: not played. The best clone ({_words(best['recipe'])}) gives {best['accuracy']:.2f} of the "
            f"actions on held-out video, {best['accuracy_changes']:.2f} where they change; how it would play is open."
        )
    best = max(played, key=lambda entry: entry["kept"])
    how = "can be imitated" if best["kept"] >= WELL else "can hardly be imitated" if best["kept"] < HARDLY else ""
    ends = "" if best["low"] is None else f" [{best['low']:.0f}, {best['high']:.0f}]"
    said = (
        f"{name}: {how or 'can be imitated in part'} by this recipe: the best clone ({_words(best['recipe'])}) keeps "
        f"{best['kept']:.0f} %{ends} of the expert's return."
    )
    if best.get("agreement") is None:
        return said
    gap = best["accuracy"] - best["agreement"]
    return said + (
        f" It agrees with the expert in {best['agreement']:.2f} of the steps where it drives and in "
        f"{best['accuracy']:.2f} on the expert's video"
        + (
            ": it errs where its own steps lead it."
            if gap > 0.15
            else ": what it lacks, it lacks on the expert's states too."
        )
    )


def _words(recipe: str) -> str:
    kind, _, previous = recipe.partition("-")
    words = {"one": "one frame", "ten": "ten frames", "recurrent": "recurrent"}[kind]
    return f"{words}, previous action" if previous else words


def markdown(table: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> str:
    """Write verdicts and one table per video, as Markdown.

    Args:
        table: Rows of `summarise`.
        names: Name of each video's expert.
    """
    parts = []
    for video in dict.fromkeys(entry["video"] for entry in table):
        entries = [entry for entry in table if entry["video"] == video]
        parts += [f"**{video}.** {verdict(entries, names.get(video, video))}\n"]
        parts += [
            "| clone | NLL | accuracy | where the action changes | agreement, own states | return kept, % [95 %] | "
            "repeats | tilted | still |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
        ]
        for e in entries:
            kept = "" if e.get("kept") is None else f"{e['kept']:.1f}"
            kept += "" if not kept or e["low"] is None else f" [{e['low']:.1f}, {e['high']:.1f}]"
            cells = [f"{e[name]:.2f}" for name in ("loss", "accuracy", "accuracy_changes")]
            cells += [_number(e.get("agreement")), kept, *(_number(e.get(n)) for n in ("repeated", "tilted", "still"))]
            parts.append(f"| {_words(e['recipe'])} | " + " | ".join(cells) + " |")
        parts.append("")
    return "\n".join(parts)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def write(out: Path, videos: Mapping[str, Video], recipes: Sequence[str]) -> str:
    """Write results.csv (one row per episode and per measurement), summary.json, summary.md and imitability.png.

    Args:
        out: Folder of the study.
        videos: Videos of this command, by name; results of earlier ones stay in the tables.
        recipes: Recipes, in the order of the tables.

    Returns:
        The Markdown.
    """
    files = sorted((out / "results").glob("*.json"))
    rows = [row for file in files for row in json.loads(file.read_text(encoding="utf-8"))]
    known = {video: folder.name for video, folder in videos.items()}
    kept = out / "videos.json"
    if kept.exists():
        known = json.loads(kept.read_text(encoding="utf-8")) | known
    write_atomically(kept, (json.dumps(known, indent=1) + "\n").encode())
    order = {video: place for place, video in enumerate(known)}
    rows.sort(key=lambda row: order.get(row["video"], len(order)))
    table = summarise(rows, recipes)
    columns = ("video", "recipe", "part", "level", "number", "return", "loss", "accuracy", "accuracy_changes", *COUNTS)
    write_atomically(out / "results.csv", csv_bytes([{c: row.get(c) for c in columns} for row in rows]))
    write_atomically(out / "summary.json", (json.dumps(table, indent=1) + "\n").encode())
    page = markdown(table, known)
    write_atomically(out / "summary.md", page.encode())
    if table:
        plot(table, known, out / "imitability.png")
    return page


def plot(table: Sequence[Mapping[str, Any]], names: Mapping[str, str], path: Path) -> None:
    """Draw the share of the expert's return that each clone keeps, and agreement on its own states over accuracy on the
    expert's states; draw nothing without matplotlib.
    """
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from flexlam_rl.eval.suite.plots import save

    recipes = list(dict.fromkeys(entry["recipe"] for entry in table))
    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
    for number, video in enumerate(dict.fromkeys(entry["video"] for entry in table)):
        entries = [entry for entry in table if entry["video"] == video]
        played = [entry for entry in entries if entry.get("kept") is not None]
        color, label = f"C{number}", names.get(video, video)
        places = [recipes.index(entry["recipe"]) + 0.08 * number for entry in played]
        half = [0.0 if entry["low"] is None else entry["high"] - entry["kept"] for entry in played]
        left.errorbar(places, [entry["kept"] for entry in played], half, fmt="o", ms=4, capsize=2, color=color)
        told = [entry for entry in played if entry.get("agreement") is not None]
        right.plot([e["accuracy"] for e in told], [e["agreement"] for e in told], "o", ms=4, color=color, label=label)
    left.set_xticks(range(len(recipes)), [_words(recipe).replace(", ", ",\n") for recipe in recipes], fontsize=7)
    left.set_ylabel("% of the expert's return kept")
    left.axhline(0, color="0.7", lw=0.8)
    right.plot([0, 1], [0, 1], color="0.7", lw=0.8)
    right.set_xlabel("accuracy on the expert's states")
    right.set_ylabel("agreement on its own")
    right.legend(fontsize=7)
    save(fig, path)
