"""Tables and plot of the alignment study: means over seeds with intervals, and paired differences."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.utils.files import write_atomically
from flexlam_rl.utils.pictures import write_figure
from flexlam_rl.utils.tabular import csv_bytes

Row = dict[str, Any]
PAIR = ("FlexLAM", "Fixed-K")
"""Methods whose difference is computed; the table of `methods` shows all methods."""
METRICS = {"loss": "translator loss", "accuracy": "translator accuracy", "flow_loss": "flow loss"}


def interval(values: list[float], level: float = 0.95) -> tuple[float, float]:
    """Compute the mean, and half the width of its `level` interval by Student's t (NaN for a single value)."""
    from scipy.stats import t

    array = np.asarray(values, float)
    if len(array) < 2:
        return float(array.mean()), float("nan")
    return float(array.mean()), float(t.ppf(0.5 + level / 2, len(array) - 1) * array.std(ddof=1) / len(array) ** 0.5)


def read_results(out: Path) -> list[Row]:
    """Read all rows measured so far."""
    rows = [
        row for file in sorted((out / "results").glob("*.json")) for row in json.loads(file.read_text(encoding="utf-8"))
    ]
    return sorted(
        rows, key=lambda row: (row["labels"] != "standard", row["labels"], row["budget"], row["model"], row["seed"])
    )


def summarise(rows: list[Row]) -> list[Row]:
    """Compute one row per kind of labels, budget and metric: both models' means with intervals, and the difference
    FlexLAM minus Fixed-K, paired by seed.
    """
    table = []
    for labels in dict.fromkeys(row["labels"] for row in rows):
        for budget in sorted({row["budget"] for row in rows}):
            here = {
                (row["model"], row["seed"]): row
                for row in rows
                if (row["labels"], row["budget"]) == (labels, budget) and row["model"] in PAIR
            }
            for metric in METRICS:
                values: dict[str, dict[int, float]] = {model: {} for model in PAIR}
                for (model, seed), row in here.items():
                    if metric in row:
                        values[model][seed] = row[metric]
                entry: Row = {"labels": labels, "budget": budget, "metric": metric}
                for model, by_seed in values.items():
                    if by_seed:
                        entry[model] = dict(
                            zip(("mean", "half_width"), interval(list(by_seed.values())), strict=True)
                        ) | {"seeds": len(by_seed)}
                both = sorted(values["FlexLAM"].keys() & values["Fixed-K"].keys())
                if both:
                    gaps = [values["FlexLAM"][seed] - values["Fixed-K"][seed] for seed in both]
                    entry["difference"] = dict(zip(("mean", "half_width"), interval(gaps), strict=True)) | {
                        "seeds": len(both)
                    }
                if "FlexLAM" in entry or "Fixed-K" in entry:
                    table.append(entry)
    return table


def methods(rows: list[Row]) -> list[Row]:
    """Compute one row per method, size and kind of labels: means over seeds with intervals. Discrete methods are sorted
    by bits, and continuous ones after them by numbers.
    """
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if "gain" in row and row["budget"]:
            found.setdefault((row["labels"], row["model"], row["budget"], row["numbers"]), []).append(row)
    table = []
    for (labels, model, budget, numbers), group in found.items():
        entry: Row = {"labels": labels, "model": model, "budget": budget, "numbers": numbers, "seeds": len(group)}
        entry |= {key: group[0][key] for key in ("bits", "parameters", "steps") if key in group[0]}
        for metric in ("accuracy", "loss", "gain"):
            values = [row[metric] for row in group if metric in row]
            if values:
                entry[metric] = dict(zip(("mean", "half_width"), interval(values), strict=True))
        table.append(entry)
    order = list(dict.fromkeys(row["model"] for row in rows))

    def place(entry: Row) -> tuple[Any, ...]:
        size = entry.get("bits", entry["numbers"])
        return entry["labels"] != "standard", "bits" not in entry, size, order.index(entry["model"])

    return sorted(table, key=place)


def methods_markdown(table: list[Row]) -> str:
    """Write the table of all methods in Markdown."""
    lines = [
        "All methods, discrete ones by bits, continuous ones by numbers; gain is the share of the error of a model's "
        "own prediction that its latents take away, against those of other transitions:\n",
        "| labels | model | slots | bits | numbers | accuracy | translator loss | gain | parameters | steps | seeds |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for e in table:
        bits = f"{e['bits']:.1f}" if "bits" in e else "continuous"
        lines.append(
            f"| {e['labels']} | {e['model']} | {e['budget']} | {bits} | {e['numbers']} | {_cell(e, 'accuracy')} | "
            f"{_cell(e, 'loss')} | {_cell(e, 'gain')} | {e['parameters']:,} | {e['steps']:,} | {e['seeds']} |"
        )
    return "\n".join(lines) + "\n"


def _cell(entry: Row, name: str, sign: str = "") -> str:
    if name not in entry:
        return ""
    mean, half = entry[name]["mean"], entry[name]["half_width"]
    return f"{mean:{sign}.4f}" + ("" if np.isnan(half) else f" ± {half:.4f}")


def markdown(table: list[Row]) -> str:
    """Write the summary as Markdown tables, one per metric."""
    parts = []
    for metric, title in METRICS.items():
        parts.append(f"{title[0].upper()}{title[1:]}:\n")
        parts.append("| labels | K | FlexLAM@K | Fixed-K | FlexLAM less Fixed-K |\n|---|--:|--:|--:|--:|")
        for e in table:
            if e["metric"] == metric:
                parts.append(
                    f"| {e['labels']} | {e['budget']} | {_cell(e, 'FlexLAM')} | {_cell(e, 'Fixed-K')} | "
                    f"{_cell(e, 'difference', '+')} |"
                )
        parts.append("")
    return "\n".join(parts)


def write(out: Path, study: Any, test: Any) -> str:
    """Write results.csv, summary.json, summary.md and alignment.png, and return the Markdown."""
    rows = read_results(out)
    if not rows:
        return ""
    table, all_methods = summarise(rows), methods(rows)
    write_atomically(out / "results.csv", csv_bytes(rows))
    record = {
        "study": {key: value for key, value in vars(study).items() if key != "data"},
        "data": {"engine": test.stores[0].origin.engine, "levels": list(test.levels), "digests": list(study.data)},
        "interval": "95 %, Student's t over seeds",
        "rows": table,
        "methods": all_methods,
    }
    write_atomically(out / "summary.json", (json.dumps(record, indent=1) + "\n").encode())
    page = markdown(table)
    if all_methods:
        page += "\n" + methods_markdown(all_methods)
    write_atomically(out / "summary.md", page.encode())
    plot(rows, table, out / "alignment.png")
    return page


def plot(rows: list[Row], table: list[Row], path: Path) -> None:
    """Draw bars of both models by budget, with intervals and each seed as a dot, one panel per kind of labels and
    metric.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    kinds = list(dict.fromkeys(row["labels"] for row in rows))
    metrics = ("loss", "accuracy")
    fig, axes = plt.subplots(
        len(metrics), len(kinds), figsize=(4.2 * len(kinds), 5.4), layout="constrained", squeeze=False
    )
    budgets = sorted({row["budget"] for row in rows if row["model"] in PAIR} - {0})
    for i, metric in enumerate(metrics):
        for j, labels in enumerate(kinds):
            axis = axes[i][j]
            for offset, model, colour in ((-0.2, "Fixed-K", "tab:gray"), (0.2, "FlexLAM", "tab:blue")):
                for at, budget in enumerate(budgets):
                    entry: Row = next(
                        (e for e in table if (e["labels"], e["budget"], e["metric"]) == (labels, budget, metric)), {}
                    )
                    if model not in entry:
                        continue
                    mean, half = entry[model]["mean"], entry[model]["half_width"]
                    label = ("FlexLAM@K" if model == "FlexLAM" else model) if at == 0 else None
                    axis.bar(at + offset, mean, 0.38, color=colour, alpha=0.7, label=label)
                    if not np.isnan(half):
                        axis.errorbar(at + offset, mean, half, color="black", capsize=3, linewidth=1)
                    dots = [
                        r[metric] for r in rows if (r["labels"], r["budget"], r["model"]) == (labels, budget, model)
                    ]
                    axis.plot([at + offset] * len(dots), dots, ".", color="black", markersize=4)
            none = [r[metric] for r in rows if (r["labels"], r["budget"]) == (labels, 0) and metric in r]
            if none:
                axis.axhline(
                    float(np.mean(none)), color="tab:red", linestyle="--", linewidth=1, label="previous action alone"
                )
            axis.set_xticks(range(len(budgets)), [f"K = {k}" for k in budgets])
            axis.set_title(f"{METRICS[metric]}, {labels} labels", fontsize=10)
    axes[0][0].legend(fontsize=8)
    write_figure(path, fig, 100)
    plt.close(fig)
