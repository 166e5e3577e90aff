"""A suite's summary, and the table that is printed of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from flexlam_rl.envs.returns import find_reference, normalise
from flexlam_rl.eval.stats import bootstrap, interquartile_mean, mean_of_levels, standard_error

Returns = Mapping[str, np.ndarray]
"""Level to the returns of its episodes, (E,)."""


def normalised(returns: Returns, engine: str) -> dict[str, np.ndarray]:
    """Every episode in percent of the same engine's expert; levels whose expert is not known, or has no positive return, are left out."""
    out = {}
    for level, values in returns.items():
        try:
            out[level] = np.array([normalise(float(v), level, engine=engine) for v in values])
        except ValueError:
            continue
    return out


def summarise(returns: Returns, engine: str) -> dict[str, Any]:
    """Mean and standard error a level, raw and normalised, and the aggregates, as JSON values.

    Args:
        returns: Of one policy and budget.
        engine: It played on; normalised by that engine's references alone.
    """
    scores = normalised(returns, engine)
    rows: dict[str, Any] = {}
    for level, values in returns.items():
        row: dict[str, Any] = {"mean": float(values.mean()), "standard_error": _finite(standard_error(values)), "episodes": len(values)}
        if level in scores:
            reference = find_reference(level, engine)
            row |= {
                "expert": reference.mean,
                "normalised": float(scores[level].mean()),
                "normalised_error": _finite(standard_error(scores[level])),
                "random_normalised": None if reference.random is None else normalise(reference.random, level, engine=engine),
            }
        rows[level] = row
    out: dict[str, Any] = {"levels": rows}
    if scores:
        arrays = list(scores.values())
        out["mean"] = asdict(bootstrap(arrays, mean_of_levels))
        out["iqm"] = asdict(bootstrap(arrays, interquartile_mean))
        random = [row["random_normalised"] for row in rows.values() if row.get("random_normalised") is not None]
        out["random_mean"] = float(np.mean(random)) if random else None
    return out


def _finite(value: float) -> float | None:
    return None if np.isnan(value) else value


def print_summary(console: Any, summaries: Mapping[str, Mapping[str, Any]], title: str) -> None:
    """Print one row a level and the aggregates below.

    Args:
        console: rich's.
        summaries: Column title ("FlexLAM@16", "random") to what `summarise` gives.
        title: Of the table.
    """
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    table.add_column("level", no_wrap=True)
    one = len(summaries) == 1
    headings = ("return", "± s.e.", "expert", "normalised %", "± s.e.", "random %") if one else ("random %", *summaries)
    for heading in headings:
        table.add_column(heading, justify="right")
    first = next(iter(summaries.values()))
    for level in first["levels"]:
        row = first["levels"][level]
        if one:
            cells = [
                number(row["mean"]), number(row["standard_error"]), number(row.get("expert")), number(row.get("normalised"), 1),
                number(row.get("normalised_error"), 1), number(row.get("random_normalised"), 1),
            ]  # fmt: skip
        else:
            cells = [number(row.get("random_normalised"), 1), *(with_error(s["levels"][level]) for s in summaries.values())]
        table.add_row(level, *cells)
    if "mean" in first and not one:
        table.add_section()
        for key, words in (("mean", "mean of levels"), ("iqm", "interquartile mean")):
            random = first.get("random_mean") if key == "mean" else None
            table.add_row(words, number(random, 1), *(interval(s[key]) for s in summaries.values()))
    console.print(table)
    if "mean" in first and one:
        console.print(
            f"Normalised: mean of levels {interval(first['mean'])}, interquartile mean {interval(first['iqm'])} (95 % intervals); "
            f"the random policy's mean {number(first.get('random_mean'), 1) or 'is not known'}."
        )


def wide_console() -> Any:
    """rich's console; 120 columns wide where the output is no terminal, whose width nobody knows."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=120)


def number(value: float | None, digits: int = 2) -> str:
    """A number for a cell; nothing for None."""
    return "" if value is None else f"{value:.{digits}f}"


def with_error(row: Mapping[str, Any]) -> str:
    """Normalised mean and standard error; the raw ones in brackets where nothing is known to normalise by."""
    if "normalised" in row:
        return f"{row['normalised']:.1f} ± {number(row['normalised_error'], 1) or '?'}"
    return f"({row['mean']:.2f} ± {number(row['standard_error']) or '?'})"


def interval(value: Mapping[str, float | None]) -> str:
    """An estimate with its 95 % interval, where there is one."""
    if value["low"] is None:
        return number(value["value"], 1)
    return f"{value['value']:.1f} [{value['low']:.1f}, {value['high']:.1f}]"


def by_column(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, dict[str, np.ndarray]]:
    """Episodes of results.json as column title to level to returns, in the order of the episodes."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        title = f"{name}@{row['budget']}" if row["budget"] else name
        found.setdefault(title, {}).setdefault(row["level"], []).append(row["return"])
    return {title: {level: np.array(values) for level, values in levels.items()} for title, levels in found.items()}
