"""`flexlam study matched FLEXLAM --fixed FIXED...`: FlexLAM@K beside Fixed-K models at the same budgets, in closed
loop (the paper's tables 1 and 9).

Each argument is a finished suite: one of a FlexLAM at several budgets, one of each separately trained Fixed-K model.
"""

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from flexlam_rl.eval.studies.study import Study, StudyDefinition, StudyOptions
from flexlam_rl.eval.suite.compare import INTERQUARTILE, MEAN, compare
from flexlam_rl.eval.suite.results import read_results
from flexlam_rl.eval.suite.table import interval, print_table, summaries_of, wide_console
from flexlam_rl.utils.command_line import run as run_command
from flexlam_rl.utils.tabular import csv_bytes

# name of the aggregate in `compare` -> in a suite's summary; a single level with wild returns can carry the first, not
# the second
AGGREGATES = {INTERQUARTILE: "iqm", MEAN: "mean"}
PARTS = ("flexlam", "fixed", "difference")


@dataclass(frozen=True, kw_only=True)
class Options(StudyOptions):
    """Put FlexLAM@K beside Fixed-K models at matched budgets."""

    flexlam: tyro.conf.Positional[Path]
    """Folder of a finished suite of a FlexLAM, played at the budgets to compare."""
    fixed: tuple[Path, ...]
    """Folders of finished suites of Fixed-K models."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=("-o",))] = None
    """Folder for matched.json, matched.csv and matched.png."""


def matched_rows(flexlam: dict[str, Any], fixed: list[dict[str, Any]], names: list[str]) -> list[dict[str, Any]]:
    """Two rows a Fixed-K suite, interquartile mean and mean of levels: budget, both values with intervals, their
    difference, and the verdict.

    Args:
        flexlam, fixed: What `read_results` gives.
        names: Folders of the Fixed-K suites, for messages.

    Raises:
        ValueError: A suite is of something else, labels differ, or FlexLAM was not played at a budget.
    """
    if not flexlam.get("checkpoint", {}).get("config") or next(iter(flexlam["summary"])).partition("@")[0] != "FlexLAM":
        raise ValueError(
            f"The first suite is of {flexlam['policy']!r} ({next(iter(flexlam['summary']))}); expected one of a "
            "FlexLAM."
        )
    rows = []
    mine = summaries_of(flexlam)
    for record, name in zip(fixed, names, strict=True):
        theirs = summaries_of(record)
        column = next(iter(record["summary"]))
        kind, _, budget = column.partition("@")
        if kind != "Fixed-K":
            raise ValueError(f"{name} is a suite of {column}; expected one of a Fixed-K model.")
        ours = f"FlexLAM@{budget}"
        if ours not in flexlam["summary"]:
            raise ValueError(
                f"{name} has K = {budget}, at which FlexLAM was not played: its suite has "
                f"{', '.join(flexlam['summary'])}."
            )
        labels = [r["checkpoint"]["config"]["labels"] for r in (flexlam, record)]
        if (labels[0]["count"], labels[0]["levels"]) != (labels[1]["count"], labels[1]["levels"]):
            raise ValueError(
                f"{name} was trained on {labels[1]['count']} labels ({labels[1]['name']!r}), FlexLAM on "
                f"{labels[0]['count']}."
            )
        found = {row.name: row for row in compare(record, flexlam, (column, ours))}
        if not found.keys() >= AGGREGATES.keys():
            raise ValueError(f"{name} and the FlexLAM suite share no level whose expert is known.")
        rows += [
            {
                "budget": int(budget),
                "labels": labels[0]["name"],
                "aggregate": short,
                "flexlam": mine[ours][short],
                "fixed": theirs[column][short],
                "difference": dataclasses.asdict(found[aggregate].difference),
                "verdict": found[aggregate].verdict.replace("second", "FlexLAM").replace("first", "Fixed-K"),
                "flexlam_checkpoint": flexlam["checkpoint"]["hash"],
                "fixed_checkpoint": record["checkpoint"]["hash"],
            }
            for aggregate, short in AGGREGATES.items()
        ]
    return sorted(rows, key=_order)


def _order(row: dict[str, Any]) -> tuple[int, int]:
    return list(AGGREGATES.values()).index(row["aggregate"]), row["budget"]


@dataclass(frozen=True)
class Job:
    """The comparison with one Fixed-K suite."""

    folder: Path
    kind = "comparison"

    @property
    def name(self) -> str:
        """Folder of the suite."""
        return str(self.folder)


def plan(options: Options) -> Study[Job]:
    """Make the study; it trains nothing, compares anew each time, and keeps its table where asked.

    Raises:
        ValueError: A folder holds no finished suite.
    """
    flexlam = read_results(options.flexlam)
    found: list[dict[str, Any]] = []

    def measure(job: Job) -> None:
        found.extend(matched_rows(flexlam, [read_results(job.folder)], [job.name]))

    def report() -> str:
        rows = sorted(found, key=_order)
        what = f"{flexlam['scene']['engine']} ({flexlam['scene']['textures']}), labels {rows[0]['labels']}"
        show(rows, what)
        if options.out is not None:
            write(options.out, rows, what)
        return ""

    jobs = [Job(folder) for folder in options.fixed]
    return Study(title="matched", jobs=jobs, measure=measure, report=report, finished=lambda job: False)


def show(rows: list[dict[str, Any]], what: str) -> None:
    """Print the table.

    Args:
        rows: What `matched_rows` gives.
        what: Engine, look and labels, for the title.
    """
    from rich.table import Table

    table = Table(
        title=f"normalised return, interquartile mean (iqm) and mean of levels, 95 % intervals; {what}",
        title_justify="left",
        box=None,
    )
    for heading in ("", "K", "FlexLAM@K", "Fixed-K", "difference", ""):
        table.add_column(heading, justify="right", header_style="bold", no_wrap=True)
    for row in rows:
        values = (interval(row[part]) for part in PARTS)
        table.add_row(row["aggregate"], str(row["budget"]), *values, row["verdict"])
    print_table(wide_console(), table)


def write(out: Path, rows: list[dict[str, Any]], what: str) -> None:
    """matched.json, matched.csv, and matched.png where matplotlib is installed."""
    from flexlam_rl.utils.files import write_atomically

    flat = [
        {key: row[key] for key in ("budget", "labels", "aggregate")}
        | {f"{part}_{end}": row[part][end] for part in PARTS for end in ("value", "low", "high")}
        | {"verdict": row["verdict"]}
        for row in rows
    ]
    write_atomically(out / "matched.csv", csv_bytes(flat))
    write_atomically(out / "matched.json", (json.dumps(rows, indent=1) + "\n").encode())
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    from flexlam_rl.eval.suite.plots import save

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.2))
    for axes, (aggregate, short) in zip(panels, AGGREGATES.items(), strict=True):
        here = [row for row in rows if row["aggregate"] == short]
        at = [row["budget"] for row in here]
        for part, words in (("flexlam", "FlexLAM@K"), ("fixed", "Fixed-K")):
            values = np.array([row[part]["value"] for row in here])
            low, high = (
                np.array([row[part]["value"] if row[part][end] is None else row[part][end] for row in here])
                for end in ("low", "high")
            )
            axes.errorbar(
                at, values, yerr=np.maximum(0, [values - low, high - values]), marker="o", capsize=3, label=words
            )
        axes.set_xscale("log", base=2)
        axes.set_xticks(at, [str(k) for k in at])
        axes.set_xlabel("budget K")
        axes.set_title(aggregate, fontsize=9)
    panels[0].set_ylabel("return, expert = 100")
    panels[0].legend(fontsize=8)
    figure.suptitle(what, fontsize=9)
    save(figure, out / "matched.png")


STUDY = StudyDefinition(Options, plan, "finished suites of FlexLAM and Fixed-K models side by side at equal budgets")
run = STUDY.run

if __name__ == "__main__":
    sys.exit(run_command(Options, run, None, "flexlam study matched"))
