"""`flexlam compare A B`: compare two suites, and say which differences their intervals support."""

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from flexlam_rl.eval.suite.results import read_results
from flexlam_rl.eval.suite.statistics import ENOUGH, Interval, difference, interquartile_mean, mean_of_levels
from flexlam_rl.eval.suite.table import TOO_FEW, engine_and_look, normalised, number, print_table, wide_console
from flexlam_rl.utils.command_line import run as run_command

_SAME = ("domain", "engine", "textures", "hud", "action_set", "action_hash", "frame_skip", "width", "height")
INTERQUARTILE, MEAN = "interquartile mean, normalised", "mean of levels, normalised"


@dataclass(frozen=True)
class Options:
    """Compare two suites: returns per level, normalised aggregates, and the differences with 95% intervals."""

    first: tyro.conf.Positional[Path]
    """A suite's folder, or its results.json."""
    second: tyro.conf.Positional[Path]
    """Another suite, or the same one to compare its budgets."""
    first_column: str | None = None
    """Column of the first suite, such as FlexLAM@16; by default its only or first one."""
    second_column: str | None = None
    """Column of the second suite; by default the one with the same name as the first's, else its last one."""
    any_look: bool = False
    """Compare returns also if the looks of the engine differ."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=("-o",))] = None
    """JSON file to write."""


@dataclass(frozen=True)
class Comparison:
    """Comparison of a level or an aggregate: both means, their difference (second - first) with its interval, and the
    smallest number of episodes.
    """

    name: str
    first: float
    second: float
    difference: Interval
    episodes: int

    @property
    def verdict(self) -> str:
        """Which suite is higher, if the interval supports it."""
        low, high = self.difference.low, self.difference.high
        if self.episodes < ENOUGH or low is None or high is None:
            return TOO_FEW
        return "second higher" if low > 0 else "first higher" if high < 0 else "not told apart"


def compare(
    first: dict[str, Any], second: dict[str, Any], columns: tuple[str, str], any_look: bool = False
) -> list[Comparison]:
    """Compare two results of `read_results`.

    Args:
        first, second: The results.
        columns: Column of each.
        any_look: Whether to accept different looks.

    Returns:
        One row per level that both played, then interquartile mean and mean of levels of normalised returns, both plain
        and minus the random policy's.

    Raises:
        ValueError: The results have different engines or settings, or share no level.
    """
    for key in _SAME:
        mine, theirs = first["scene"].get(key), second["scene"].get(key)
        if mine != theirs and not (any_look and key in ("textures", "hud")):
            raise ValueError(
                f"The first suite has {key} {mine!r}, the second {theirs!r}: their returns are not compared."
            )
    one, two = (_episodes(record, column) for record, column in zip((first, second), columns, strict=True))
    levels = [level for level in one if level in two]
    if not levels:
        raise ValueError(f"The suites share no level: {', '.join(one)}; {', '.join(two)}.")
    aligned = {level: _aligned(one[level], two[level]) for level in levels}
    rows = [
        Comparison(
            level, float(a.mean()), float(b.mean()), difference([a], [b], mean_of_levels, same), min(len(a), len(b))
        )
        for level, (a, b, same) in aligned.items()
    ]
    engine, domain = first["scene"]["engine"], first["scene"].get("domain", "dmlab")
    for minus_random in (False, True):
        scores_one = normalised({level: a for level, (a, _, _) in aligned.items()}, engine, minus_random, domain)
        scores_two = normalised({level: b for level, (_, b, _) in aligned.items()}, engine, minus_random, domain)
        if not scores_one:
            continue
        a_all, b_all = list(scores_one.values()), list(scores_two.values())
        paired = all(aligned[level][2] for level in scores_one)
        fewest = min(map(len, (*a_all, *b_all)))
        for name, statistic in ((INTERQUARTILE, interquartile_mean), (MEAN, mean_of_levels)):
            gap = difference(a_all, b_all, statistic, paired)
            words = f"{name}, minus random" if minus_random else name
            rows.append(Comparison(words, statistic(a_all), statistic(b_all), gap, fewest))
    return rows


def _episodes(record: dict[str, Any], column: str) -> dict[str, dict[int, float]]:
    """Collect the returns of a column ("FlexLAM@16" or a policy's name) by level and episode seed."""
    _, _, budget = column.partition("@")
    out: dict[str, dict[int, float]] = {}
    for row in record["episodes"]:
        if str(row["budget"]) == (budget or "0"):
            out.setdefault(row["level"], {})[row["seed"]] = row["return"]
    return out


def _aligned(one: dict[int, float], two: dict[int, float]) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return the returns of both in the same order of episodes, and whether the episodes are the same (paired)."""
    if one.keys() == two.keys():
        return np.array([one[seed] for seed in one]), np.array([two[seed] for seed in one]), True
    return np.array(list(one.values())), np.array(list(two.values())), False


def _column(record: dict[str, Any], path: Path, asked: str | None, default: str) -> str:
    columns = list(record["summary"])
    if asked is not None and asked not in columns:
        raise ValueError(f"{path} has no column {asked!r}: it has {', '.join(columns)}.")
    return asked or (default if default in columns else columns[0])


def run(options: Options) -> int:
    """Print the table, and write it if asked to.

    Raises:
        ValueError: A suite is not finished, or the two cannot be compared.
    """
    from rich.table import Table

    first, second = read_results(options.first), read_results(options.second)
    one = _column(first, options.first, options.first_column, "")
    last = list(second["summary"])[-1]
    two = _column(
        second,
        options.second,
        options.second_column,
        last if options.first == options.second or one not in second["summary"] else one,
    )
    rows = compare(first, second, (one, two), options.any_look)
    console = wide_console()
    where = engine_and_look(first["scene"]["engine"], first["scene"].get("textures"))
    title = f"first: {one} in {options.first}\nsecond: {two} in {options.second}\non {where}"
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    table.add_column("", no_wrap=True)
    for heading in ("first", "second", "difference", "95 % interval", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        gap = row.difference
        ends = "" if gap.low is None else f"[{gap.low:+.2f}, {gap.high:+.2f}]"
        table.add_row(row.name, number(row.first), number(row.second), f"{gap.value:+.2f}", ends, row.verdict)
    print_table(console, table)
    if options.out is not None:
        from flexlam_rl.utils.files import write_atomically

        record = {
            "first": {"column": one, "checkpoint": first.get("checkpoint", {}).get("hash")},
            "second": {"column": two, "checkpoint": second.get("checkpoint", {}).get("hash")},
            "scene": first["scene"],
            "rows": [{**dataclasses.asdict(row), "verdict": row.verdict} for row in rows],
        }
        write_atomically(options.out, (json.dumps(record, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(run_command(Options, run, None, "flexlam compare"))
