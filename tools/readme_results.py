"""Write the README's table and curve, and the table per level of the results page, from `results/`.

    python tools/readme_results.py

tests/test_readme.py checks that the tables agree with the files.
"""

import csv
import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- results -->", "<!-- end of results -->"
CURVE = "docs/pictures/return-by-budget.png"
ROWS = {
    "random": "controls/random",
    "previous action alone": "controls/previous-action",
    "FlexLAM, 1 code": "suite-tiny/k1",
    "FlexLAM, 4 codes": "suite-tiny/k4",
    "FlexLAM, 16 codes": "suite-tiny/k16",
    "pixel expert": "pixel-expert",
    "scripted expert (sees the world's state)": "controls/expert",
}
COLUMNS = ("random", *(name for name in ROWS if name.startswith("FlexLAM")), "pixel expert")
"""Columns of the table per level."""
STUDY = "budgets/returns.csv"
"""Returns of the study of chosen budgets, averaged over training seeds."""
BUDGETS = {1: "suite-tiny/k1", 4: "suite-tiny/k4", 16: "suite-tiny/k16"}


def read(folder: str) -> tuple[int, dict[str, Any]]:
    """Read the number of episodes per level and the summary of a finished suite."""
    record = json.loads((ROOT / "results" / folder / "results.json").read_text())
    (summary,) = record["summary"].values()
    return min(level["episodes"] for level in summary["levels"].values()), summary


def shown(figure: dict[str, float | None]) -> str:
    """Write a figure with its interval, if it has one."""
    around = "" if figure["low"] is None else f" [{figure['low']:.1f}, {figure['high']:.1f}]"
    return f"{figure['value']:.1f}{around}"


def table() -> str:
    """Make the table."""
    lines = ["| policy | interquartile mean | mean of levels | episodes per level |", "|---|---|---|--:|"]
    for name, folder in ROWS.items():
        episodes, summary = read(folder)
        lines.append(f"| {name} | {shown(summary['iqm'])} | {shown(summary['mean'])} | {episodes} |")
    return "\n".join(lines)


def levels() -> str:
    """Make the table per level: percent of the scripted expert, with standard errors."""
    played = [read(ROWS[name])[1]["levels"] for name in COLUMNS]
    lines = [f"| level | {' | '.join(COLUMNS)} |", "|---" + "|--:" * len(COLUMNS) + "|"]
    for level in played[0]:
        found = (rows[level] for rows in played)
        cells = (f"{row['normalised']:.1f} ± {row['normalised_error']:.1f}" for row in found)
        lines.append(f"| {level} | {' | '.join(cells)} |")
    return "\n".join(lines)


PAGES = {"README.md": table, "docs/results.md": levels}


def draw(path: Path) -> None:
    """Draw returns over codes per decision: of the bundled policy, and of the study of chosen budgets."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    picture, (left, right) = plt.subplots(1, 2, figsize=(8, 2.9))
    figures = {budget: read(folder)[1]["iqm"] for budget, folder in BUDGETS.items()}
    values = [figure["value"] for figure in figures.values()]
    below = [figure["value"] - (figure["low"] or figure["value"]) for figure in figures.values()]
    above = [(figure["high"] or figure["value"]) - figure["value"] for figure in figures.values()]
    left.errorbar(list(figures), values, yerr=[below, above], marker="o", capsize=3, color="#00796b", label="FlexLAM")
    for name, style in (("random", ":"), ("previous action alone", "--")):
        left.axhline(read(ROWS[name])[1]["iqm"]["value"], linestyle=style, color="gray", label=name)
    left.set_title("bundled policy, 11 levels", fontsize=9)
    with open(ROOT / "results" / STUDY, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kinds = (
        ("fixed", r"\d+", "o", "#00796b"),
        ("chosen at each step", "auto:.*", "s", "#d84315"),
        ("drawn at each step", "random .*", "x", "gray"),
    )
    for name, budget, marker, color in kinds:
        own = [row for row in rows if re.fullmatch(budget, row["budget"])]
        own.sort(key=lambda row: float(row["tokens"]))
        at, found, error = ([float(row[key]) for row in own] for key in ("tokens", "iqm", "iqm_error"))
        right.errorbar(at, found, yerr=error, marker=marker, color=color, capsize=2, label=name)
    right.set_title("rooms_watermaze, three training seeds", fontsize=9)
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
        axes.set_xlabel("codes per decision, mean")
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    left.set_ylabel("return, % of scripted expert")
    picture.tight_layout()
    picture.savefig(path, dpi=110)


def main() -> None:
    """Write all."""
    for name, make in PAGES.items():
        page = ROOT / name
        before, _, rest = page.read_text().partition(BEGIN)
        page.write_text(f"{before}{BEGIN}\n{make()}\n{END}{rest.partition(END)[2]}")
    draw(ROOT / CURVE)


if __name__ == "__main__":
    main()
