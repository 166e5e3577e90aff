"""Tables, plot and verdicts of a layer of the study, from the rows measured so far."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.eval.studies.alignment_report import interval
from flexlam_rl.eval.studies.matched.contrasts import METRICS, Contrast, evaluate
from flexlam_rl.eval.studies.matched.correlation import correlation_page, correlations
from flexlam_rl.eval.studies.matched.plots import draw, draw_correlations
from flexlam_rl.utils.files import read_json, write_atomically, write_json
from flexlam_rl.utils.tabular import csv_bytes

Row = dict[str, Any]
_LISTS = ("recalls", "confusion", "levels")
"""Fields that tables leave out; `results/` has them."""


def read_rows(out: Path, layer: str | None = None) -> list[Row]:
    """Read all rows measured so far, of one layer or of all, in an order that does not depend on who measured them."""
    rows = [row for file in sorted((out / "results").glob("*.json")) for row in read_json(file)]
    found = [row for row in rows if layer in (None, row["layer"])]
    return sorted(
        found, key=lambda r: tuple(str(r.get(k, "")).zfill(6) for k in ("labels", "amount", "budget", "seed"))
    )


def summarise(rows: Sequence[Row], metrics: Sequence[str]) -> list[Row]:
    """Compute one row per kind of labels, amount, model and budget: mean over seeds and half of its 95% interval."""
    cells: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        cells.setdefault(tuple(row[key] for key in ("labels", "amount", "title", "model", "budget")), []).append(row)
    table = []
    for (labels, amount, title, model, budget), group in cells.items():
        entry = {"labels": labels, "amount": amount, "title": title, "model": model, "budget": budget}
        entry |= {"seeds": sorted(row["seed"] for row in group)}
        for metric in metrics:
            values = [row[metric] for row in group if metric in row]
            if values:
                entry[metric] = dict(zip(("mean", "half_width"), interval(values), strict=True))
        table.append(entry)
    return sorted(table, key=lambda e: (e["labels"] != "standard", e["amount"], e["budget"], e["model"]))


def markdown(table: Sequence[Row], found: Sequence[Row], layer: str, against: Path | None = None) -> str:
    """Write the page of a layer: first the contrasts, then all columns."""
    lines = []
    if found:
        about = (
            "named before the runs" if against is None else f"with their second column from the study {against.name}"
        )
        lines += [
            f"Contrasts {about}; the unit is the training seed, intervals are 95 %, Student's t ({layer}):\n",
            "| contrast | difference | interval | seeds | verdict |",
            "|---|--:|--:|--:|---|",
        ]
        for c in found:
            ends = "" if c["low"] is None else f"[{c['low']:+.4g}, {c['high']:+.4g}]"
            gap = "" if c["difference"] is None else f"{c['difference']:+.4g}"
            name = Contrast(**{field: c[field] for field in Contrast.__dataclass_fields__}).name
            lines.append(f"| {name} | {gap} | {ends} | {len(c['seeds'])} | {c['verdict']} |")
        lines.append("")
    names = _metrics(layer)
    lines += [
        "All columns, mean over seeds ± half of the 95 % interval:\n",
        "| labels | amount | model | K | " + " | ".join(names.values()) + " | seeds |",
        "|---|--:|---|--:|" + "--:|" * (len(names) + 1),
    ]
    for e in table:
        cells = " | ".join(_cell(e.get(name)) for name in names)
        lines.append(f"| {e['labels']} | {e['amount']} | {e['title']} | {e['budget']} | {cells} | {len(e['seeds'])} |")
    return "\n".join(lines) + "\n"


def _metrics(layer: str) -> dict[str, str]:
    if layer == "latents":
        return METRICS[layer] | {"loss": "translator loss", "gain": "gain"}
    return METRICS[layer] | {"iqm_minus_random": "interquartile mean, minus random"}


def _cell(value: Row | None) -> str:
    if value is None:
        return ""
    half = value["half_width"]
    return f"{value['mean']:.4g}" + ("" if np.isnan(half) else f" ± {half:.2g}")


def write(out: Path, layer: str, contrasts: Sequence[Contrast], against: Path | None = None) -> str:
    """Write LAYER.csv (one row per model, budget, labels and seed), LAYER.json, LAYER.md and LAYER.png, and return the
    Markdown. With a study that the contrasts are `against`, their second column is from there, and files with contrasts
    are LAYER-against.json and LAYER-against.md.
    """
    rows = read_rows(out, layer)
    if not rows:
        return ""
    if layer == "audit":
        return _write_audit(out, rows)
    table = summarise(rows, tuple(_metrics(layer)))
    others = None if against is None else read_rows(against, layer)
    found = [evaluate(contrast, rows, others) for contrast in contrasts if contrast.layer == layer]
    shown = csv_bytes([{key: value for key, value in row.items() if key not in _LISTS} for row in rows])
    file = out / f"{layer}.csv"
    if not file.exists() or file.read_bytes() != shown:  # drawing takes a second
        draw(rows, layer, out / f"{layer}.png")
    write_atomically(file, shown)
    page = markdown(table, found, layer, against)
    record = {"unit": "training seed", "interval": "95 %, Student's t", "contrasts": found, "columns": table}
    name = layer if against is None else f"{layer}-against"
    write_json(out / f"{name}.json", json.loads(json.dumps(record).replace("NaN", "null")))
    write_atomically(out / f"{name}.md", page.encode())
    return page


def _write_audit(out: Path, rows: Sequence[Row]) -> str:
    """Write audit.csv, and audit.json, audit.md and audit.png with the correlations, and return the Markdown."""
    write_atomically(out / "audit.csv", csv_bytes(rows))
    found = correlations(read_rows(out))
    write_json(out / "audit.json", {"unit": "latent action model of one seed", "correlations": found})
    page = correlation_page(found)
    if found:
        draw_correlations(found, out / "audit.png")
    write_atomically(out / "audit.md", page.encode())
    return page
