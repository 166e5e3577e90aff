"""A suite's summary, and the table that is printed from it."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from flexlam_rl.envs.domain import Reference, find_domain
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.eval.suite.statistics import ENOUGH, estimate, interquartile_mean, mean_of_levels, standard_error

Returns = Mapping[str, np.ndarray]
"""Returns of the episodes, (E,), by level."""
AGGREGATES = {"iqm": "interquartile mean", "mean": "mean of levels"}
"""Aggregates by their key in a summary; the first one leads, because single lucky episodes do not move it."""
TOO_FEW = "too few for a claim"
_STATISTICS = {"iqm": interquartile_mean, "mean": mean_of_levels}


def reference_of(task: str, engine: str, domain: str = "dmlab", name: str = "expert") -> Reference | None:
    """Find the reference returns of a task.

    Args:
        task: Name of the task.
        engine: Engine on which they were measured.
        domain: Domain of the task.
        name: Name of the expert.

    Returns:
        The reference; None where it has not been measured.
    """
    try:
        return find_domain(domain).reference(task, EnvSpec(domain, engine), name)
    except ValueError:  # results of a task that the domain no longer has
        return None


def engine_and_look(engine: str, textures: str | None) -> str:
    """Name the engine in words, with its look where it has one."""
    return f"{engine} ({textures})" if textures else engine


def normalised(
    returns: Returns, engine: str, minus_random: bool = False, domain: str = "dmlab", name: str = "expert"
) -> dict[str, np.ndarray]:
    """Compute every episode's return in percent of the same engine's expert.

    Args:
        returns: Returns of one policy and budget.
        engine: Engine that it played on.
        minus_random: Whether to compute 100 (r - random) / (expert - random) instead of 100 r / expert.
        domain: Domain of the levels.
        name: Name of the expert.

    Returns:
        Percentages (E,) by level; levels without the references that this needs are left out.
    """
    out = {}
    for level, values in returns.items():
        reference = reference_of(level, engine, domain, name)
        if reference is None:
            continue
        with contextlib.suppress(ValueError):  # a reference that cannot be compared with
            out[level] = np.array([reference.percent(float(v), minus_random) for v in values])
    return out


def summarise(returns: Returns, engine: str, domain: str = "dmlab") -> dict[str, Any]:
    """Compute mean and standard error per level, raw and normalised, and the aggregates, as JSON values.

    Args:
        returns: Returns of one policy and budget.
        engine: Engine that it played on, whose references alone normalise.
        domain: Domain of the levels.
    """
    scores, above = (normalised(returns, engine, minus_random, domain) for minus_random in (False, True))
    rows: dict[str, Any] = {}
    for level, values in returns.items():
        row: dict[str, Any] = {
            "mean": float(values.mean()), "standard_error": _finite(standard_error(values)), "episodes": len(values),
        }  # fmt: skip
        reference = reference_of(level, engine, domain)
        if level in scores and reference is not None:
            row |= {
                "expert": reference.mean,
                "normalised": float(scores[level].mean()),
                "normalised_error": _finite(standard_error(scores[level])),
                "minus_random": float(above[level].mean()) if level in above else None,
                "random_normalised": (None if reference.random is None else reference.percent(reference.random)),
            }
        rows[level] = row
    out: dict[str, Any] = {"levels": rows}
    if scores:
        for key, statistic in _STATISTICS.items():
            out[key] = asdict(estimate(list(scores.values()), statistic))
            # over all levels or not at all, because aggregates over different levels cannot be compared
            whole = above.keys() == scores.keys()
            out[f"{key}_minus_random"] = asdict(estimate(list(above.values()), statistic)) if whole else None
        random = [row["random_normalised"] for row in rows.values() if row.get("random_normalised") is not None]
        out["random_mean"] = float(np.mean(random)) if random else None
    return out


def of_video(returns: Returns, engine: str, expert: str, domain: str = "dmlab") -> dict[str, Any] | None:
    """Compute the aggregates in percent of the expert whose video was learned from, as the paper does.

    Args:
        returns: Returns of one policy and budget.
        engine: Engine that it played on.
        expert: Name of that expert, as the video records it.
        domain: Domain of the levels.

    Returns:
        "expert" and the aggregates, raw and minus random; None where that expert has not been measured on all levels.
    """
    own = "expert" if expert == "scripted" else expert
    out: dict[str, Any] = {"expert": expert}
    for minus_random, end in ((False, ""), (True, "_minus_random")):
        scores = normalised(returns, engine, minus_random, domain, own)
        if scores.keys() != returns.keys():
            return None
        out |= {f"{key}{end}": asdict(estimate(list(scores.values()), one)) for key, one in _STATISTICS.items()}
    return out


def summaries_of(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Summarize every column of a suite's results anew from its episodes, so that all results have the same kind of
    interval.

    Args:
        record: Content of results.json; its own summary only gives the name of the policy.
    """
    name = next(iter(record["summary"])).partition("@")[0]
    columns = by_column(record["episodes"], name)
    scene = record["scene"]
    domain = scene.get("domain", "dmlab")
    return {title: summarise(returns, scene["engine"], domain) for title, returns in columns.items()}


def fewest_episodes(summary: Mapping[str, Any]) -> int:
    """Return the number of episodes of the level that has the fewest."""
    return min(row["episodes"] for row in summary["levels"].values())


def remark(episodes: int) -> str:
    """Return the remark on figures from `episodes` episodes per level; "" where there are enough."""
    return TOO_FEW if episodes < ENOUGH else ""


def _finite(value: float) -> float | None:
    return None if np.isnan(value) else value


def print_summary(console: Any, summaries: Mapping[str, Mapping[str, Any]], title: str) -> None:
    """Print the aggregates as columns of their own table, and one row per level.

    Args:
        console: Console of rich.
        summaries: Results of `summarise`, by column title ("FlexLAM@16", "random").
        title: Title of the table.
    """
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    table.add_column("level", no_wrap=True)
    one = len(summaries) == 1
    alone = ("return", "± s.e.", "expert", "normalised %", "± s.e.", "minus random %", "random %")
    for heading in alone if one else ("random %", *summaries):
        table.add_column(heading, justify="right", no_wrap=True)
    first = next(iter(summaries.values()))
    for level, row in first["levels"].items():
        if one:
            cells = [
                number(row["mean"]), number(row["standard_error"]), number(row.get("expert")),
                number(row.get("normalised"), 1), number(row.get("normalised_error"), 1),
                number(row.get("minus_random"), 1), number(row.get("random_normalised"), 1),
            ]  # fmt: skip
        else:
            errors = [with_error(s["levels"][level]) for s in summaries.values()]
            cells = [number(row.get("random_normalised"), 1), *errors]
        table.add_row(level, *cells)
    print_table(console, table)
    if "iqm" in first:
        print_table(console, _aggregates(summaries))


def _aggregates(summaries: Mapping[str, Mapping[str, Any]]) -> Any:
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("normalised [95 %]", "interquartile mean", "minus random", "mean of levels", "minus random", ""):
        table.add_column(heading, no_wrap=True)
    for title, summary in summaries.items():
        parts = (summary[key] for name in AGGREGATES for key in (name, f"{name}_minus_random"))
        table.add_row(title, *map(interval, parts), remark(fewest_episodes(summary)))
    random = next(iter(summaries.values())).get("random_mean")
    if random is not None and "random" not in summaries:
        table.add_row("random policy", "", "", number(random, 1), "0.0", "")
    return table


def print_table(console: Any, table: Any) -> None:
    """Print a table at its full width: a narrow terminal wraps its lines, and nothing is cut off."""
    from rich.segment import Segments

    width = console.measure(table, options=console.options.update(width=1000)).maximum
    console.print(Segments(console.render(table, console.options.update(width=width))), crop=False, end="")


def wide_console() -> Any:
    """Make a console of rich; it is 120 columns wide if the output is not a terminal."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=120)


def number(value: float | None, digits: int = 2) -> str:
    """Write a number for a cell; "" for None."""
    return "" if value is None else f"{value:.{digits}f}"


def with_error(row: Mapping[str, Any]) -> str:
    """Write the normalised mean and its standard error; the raw ones in brackets where there is no reference."""
    if "normalised" in row:
        return f"{row['normalised']:.1f} ± {number(row['normalised_error'], 1) or '?'}"
    return f"({row['mean']:.2f} ± {number(row['standard_error']) or '?'})"


def interval(value: Mapping[str, float | None] | None) -> str:
    """Write an estimate with its 95% interval, if there is one; "" for None."""
    if value is None:
        return ""
    if value["low"] is None:
        return number(value["value"], 1)
    return f"{value['value']:.1f} [{value['low']:.1f}, {value['high']:.1f}]"


def by_column(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, dict[str, np.ndarray]]:
    """Collect the returns of results.json by column title and level, in the order of the episodes."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        title = f"{name}@{row['budget']}" if row["budget"] else name
        found.setdefault(title, {}).setdefault(row["level"], []).append(row["return"])
    return {title: {level: np.array(values) for level, values in levels.items()} for title, levels in found.items()}
