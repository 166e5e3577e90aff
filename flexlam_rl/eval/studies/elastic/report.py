"""Tables of the elastic study: searches, shares that meet a threshold at equal means, and lengths per level.

The unit of the statistics is the training seed.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.eval.studies.alignment_report import interval
from flexlam_rl.eval.studies.elastic import plots
from flexlam_rl.utils.files import write_atomically
from flexlam_rl.utils.tabular import csv_bytes

Row = dict[str, Any]
SEARCHES = ("full", "binned", "binary", "regressed")
ALL = "all tasks"


def read_rows(out: Path) -> list[Row]:
    """Read all rows measured so far."""
    files = sorted((out / "results").glob("*.json"))
    return [row for file in files for row in json.loads(file.read_text(encoding="utf-8"))]


def write(out: Path, config: Any) -> str:
    """Write summary.md, elastic.json, four tables as CSV, and the plots, and return the tables."""
    rows = read_rows(out)
    if not rows:
        return ""
    tables = {
        "searches": searches(rows, config.thresholds),
        "shares": shares(rows, config.thresholds),
        "levels": levels(rows, config.thresholds),
        "blocks": several_blocks(rows, config.thresholds),
    }
    titles = {
        "searches": "Searches: error of the length as a share of the full search's, and passes",
        "shares": "Blocks that meet the threshold: adaptive lengths beside constant ones of the same mean",
        "levels": "Lengths per level, and their correlation with the strength of edges",
        "blocks": "Several blocks: lengths and correlation where a block sees those before it",
    }
    seeds = len({row["seed"] for row in rows})
    page = [f"# Elastic lengths: {config.preset}, {config.bottleneck}, {seeds} seed{'s' * (seeds > 1)}", ""]
    for name, table in tables.items():
        if table:
            page += [f"## {titles[name]}", "", markdown(table), ""]
            write_atomically(out / f"{name}.csv", csv_bytes([_flat(row) for row in table]))
    curves = [row for row in rows if row["what"] in ("cap", "constant", "position")]
    write_atomically(out / "curves.csv", csv_bytes(curves))
    write_atomically(out / "elastic.json", (json.dumps(tables, indent=1) + "\n").encode())
    text = "\n".join(page)
    write_atomically(out / "summary.md", text.encode())
    plots.draw(out, rows, config)
    return text


def searches(rows: list[Row], thresholds: Iterable[float]) -> list[Row]:
    """Compute one row per threshold and search (table 4.4)."""
    table = []
    for threshold in thresholds:
        for how in SEARCHES:
            found = _of(rows, "search", threshold, search=how)
            if found:
                figures = ("error", "evaluations", "tokens", "met")
                table.append({"threshold": threshold, "search": how, **{x: _over_seeds(found, x) for x in figures}})
    return table


def shares(rows: list[Row], thresholds: Iterable[float]) -> list[Row]:
    """Compute one row per threshold (table 4.2).

    It holds the share of blocks that meet the threshold with adaptive lengths; the same with constant lengths of the
    same mean, for the same model and for models trained for one length, and how far adaptive lengths are ahead of each;
    and the number of tokens that the latter need for the same share and for the same worst block.
    """
    table = []
    for threshold in thresholds:
        each: list[Row] = []
        for seed in sorted({row["seed"] for row in rows}):
            caps = sorted(_of(rows, "cap", threshold, seed=seed), key=lambda row: row["cap"])
            if not caps:
                continue
            last, lengths = caps[-1], [row["cap"] for row in caps]
            row = {"tokens": last["tokens"], "adaptive": last["share"]}
            row["same model"] = _at(last["tokens"], lengths, [one["share at the cap"] for one in caps])
            row["over same model"] = _gap(last["share"], row["same model"])
            constants = sorted(_of(rows, "constant", threshold, seed=seed), key=lambda one: one["length"])
            if constants:
                trained = [one["length"] for one in constants]
                row["constant"] = _at(last["tokens"], trained, [one["share"] for one in constants])
                row["over constant"] = _gap(last["share"], row["constant"])
                row["tokens of constant"] = _reached(last["share"], trained, [one["share"] for one in constants])
                worst = [-one["worst"] for one in constants]
                row["tokens of constant, worst block"] = _reached(-last["worst"], trained, worst)
            each.append(row)
        if each:
            names = dict.fromkeys(name for row in each for name in row)
            table.append({"threshold": threshold, **{name: _over_seeds(each, name) for name in names}})
    return table


def _at(length: float, lengths: list[int], values: list[float]) -> float | None:
    """Interpolate a value linearly at a length between measured ones; None outside of them."""
    return float(np.interp(length, lengths, values)) if lengths[0] <= length <= lengths[-1] else None


def _gap(share: float, other: float | None) -> float | None:
    return None if other is None else share - other


def _reached(value: float, lengths: list[int], values: list[float]) -> float | None:
    """Return the first length that reaches a value, by linear interpolation; None if no length does."""
    if values[0] >= value:
        return float(lengths[0])
    for i in range(1, len(lengths)):
        if values[i] >= value:
            share = (value - values[i - 1]) / (values[i] - values[i - 1])
            return lengths[i - 1] + share * (lengths[i] - lengths[i - 1])
    return None


def levels(rows: list[Row], thresholds: Iterable[float]) -> list[Row]:
    """Compute one row per threshold and task: mean length, share of blocks that meet the threshold, and correlation
    with complexity.
    """
    table = []
    for threshold in thresholds:
        found = _of(rows, "block", threshold)
        tasks = list(dict.fromkeys(row["task"] for row in found))
        for task in tasks + [ALL] * (len(tasks) > 1):
            mine = [row for row in found if task in (row["task"], ALL)]
            each = [_figures([row for row in mine if row["seed"] == seed]) for seed in _seeds(mine)]
            count = len(mine) // len(each)
            names = ("tokens", "met", "correlation")
            table.append(
                {"threshold": threshold, "task": task, "blocks": count, **{x: _over_seeds(each, x) for x in names}}
            )
    return table


def several_blocks(rows: list[Row], thresholds: Iterable[float]) -> list[Row]:
    """Compute one row per threshold and model, for single blocks and for blocks that see the blocks before them."""
    table = []
    for threshold in thresholds:
        for model in ("alone", "grown"):
            found = _of(rows, "blocks", threshold, model=model)
            each = [_figures([row for row in found if row["seed"] == seed]) for seed in _seeds(found)]
            if each:
                names = ("tokens", "met", "correlation", "tokens of later blocks")
                table.append({"threshold": threshold, "model": model, **{x: _over_seeds(each, x) for x in names}})
    return table


def _figures(rows: list[Row]) -> Row:
    lengths, strength = (np.array([row[name] for row in rows], float) for name in ("length", "complexity"))
    varied = len(rows) > 2 and lengths.std() > 0 and strength.std() > 0
    later = [row["length"] for row in rows if row["position"] > 0]
    return {
        "tokens": float(lengths.mean()),
        "met": float(np.mean([row["met"] for row in rows])),
        "correlation": float(np.corrcoef(lengths, strength)[0, 1]) if varied else None,
        "tokens of later blocks": float(np.mean(later)) if later else None,
    }


def _of(rows: list[Row], what: str, threshold: float, **wanted: Any) -> list[Row]:
    given = {"what": what, "threshold": threshold} | wanted
    return [row for row in rows if all(row.get(name) == value for name, value in given.items())]


def _seeds(rows: list[Row]) -> list[int]:
    return sorted({row["seed"] for row in rows})


def _over_seeds(rows: list[Row], name: str) -> Row | None:
    """Compute the mean of a figure over seeds, and half the width of its 95% interval; None where a seed has none."""
    values = [row.get(name) for row in rows]
    if any(value is None for value in values):
        return None
    mean, half = interval([float(value) for value in values if value is not None])
    return {"mean": mean, "half_width": None if np.isnan(half) else half, "seeds": len(values)}


def _flat(row: Row) -> Row:
    flat: Row = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= {name: value["mean"], f"{name} +-": value["half_width"]}
        else:
            flat[name] = value
    return flat


def markdown(table: list[Row]) -> str:
    """Write a table as Markdown, with the half width of each figure's interval."""
    names = list(dict.fromkeys(name for row in table for name in row))
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    return "\n".join([*lines, *(f"| {' | '.join(_cell(row.get(name)) for name in names)} |" for row in table)])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):
        half = "" if value["half_width"] is None else f" ± {value['half_width']:.3g}"
        return f"{value['mean']:.3g}{half}"
    return f"{value:g}" if isinstance(value, float) else str(value)
