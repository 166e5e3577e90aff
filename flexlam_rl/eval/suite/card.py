"""`python -m eval.suite.card BUNDLE SUITE...`: write a suite's scores into a bundle's model card (its README.md), which
does not change the bundle's hash.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from flexlam_rl.eval.suite.results import read_dates, read_results
from flexlam_rl.eval.suite.table import AGGREGATES, fewest_episodes, interval, number, remark, summaries_of, with_error
from flexlam_rl.utils.command_line import run as run_command

BEGIN, END = "<!-- scores -->", "<!-- end of scores -->"


@dataclass(frozen=True)
class Options:
    """Write the scores of suites into a bundle's model card."""

    bundle: tyro.conf.Positional[Path]
    """Folder of the bundle."""
    suites: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of finished suites that this bundle has played."""
    note: str = ""
    """Text below the tables, such as cost of training and limits."""
    page: tuple[Path, ...] = ()
    """Further Markdown files to write the tables to, between `<!-- scores -->` and `<!-- end of scores -->`."""


def scores(record: dict[str, Any], dates: Sequence[str]) -> str:
    """Write a suite as Markdown: normalised returns per level and budget beside the random policy's, and aggregates.

    Args:
        record: Results of the suite.
        dates: Dates on which it was played.
    """
    scene, columns = record["scene"], summaries_of(record)
    first = next(iter(columns.values()))
    episodes = fewest_episodes(first)
    machines = ", ".join(dict.fromkeys([*dates, *(session["machine"] for session in record["sessions"])]))
    greedy = "greedy" if record["greedy"] else "drawn as the bundle says"
    look = f", look {scene['textures']}" if scene.get("textures") else ""
    lines = [
        f"Normalised returns (expert = 100, ± standard error) on {scene['engine']}{look}, "
        f"{episodes} episodes per level, "
        f"seed {record['seed']}, decisions {greedy}; {machines}."
        + (f" {episodes} episodes are {few}." if (few := remark(episodes)) else ""),
        "",
        "| level | random policy | " + " | ".join(columns) + " |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for level in first["levels"]:
        random = number(first["levels"][level].get("random_normalised"), 1)
        lines.append(
            f"| {level} | {random} | " + " | ".join(with_error(s["levels"][level]) for s in columns.values()) + " |"
        )
    for name, words in AGGREGATES.items():
        for key, way in ((name, ""), (f"{name}_minus_random", ", minus random")):
            if key in first:
                random = number(0.0 if way else first.get("random_mean"), 1) if name == "mean" else ""
                values = " | ".join(interval(s[key]) for s in columns.values())
                lines.append(f"| **{words}{way} [95 %]** | {random} | {values} |")
    return "\n".join(lines)


def put(page: Path, parts: list[str]) -> None:
    """Replace earlier scores in a Markdown file by `parts`, or add these at its end."""
    from flexlam_rl.utils.files import write_atomically

    before = page.read_text(encoding="utf-8") if page.exists() else ""
    head, _, rest = before.partition(BEGIN)
    after = rest.partition(END)[2].lstrip("\n") if rest else ""
    text = "\n\n".join([BEGIN, *parts, END])
    write_atomically(page, (head.rstrip("\n") + "\n\n" + text + "\n" + (f"\n{after}" if after else "")).encode())


def run(options: Options) -> int:
    """Replace earlier scores in the card, or add the scores at its end.

    Raises:
        ValueError: A suite is unfinished or was played by another checkpoint, or a page has no place for scores.
    """
    from flexlam_rl.agents.policy.bundle import files_hash

    digest = files_hash(options.bundle)
    if not options.suites:
        raise ValueError("suites is empty; name at least one folder of a finished suite.")
    for page in options.page:
        if not page.is_file() or BEGIN not in page.read_text(encoding="utf-8"):
            raise ValueError(f"{page} has no line {BEGIN!r}; put it and {END!r} where the tables belong.")
    parts = []
    for path in options.suites:
        record = read_results(path)
        played = record.get("checkpoint", {}).get("hash", "")
        if played != digest:
            raise ValueError(
                f"{path} was played by {played[:12] or record['policy']!r}, the bundle is {digest[:12]!r}: its card "
                "takes its own scores."
            )
        parts.append(scores(record, read_dates(path, record)))
    card = options.bundle / "README.md"
    put(card, ["## Scores", *parts, *([options.note] if options.note else [])])
    for page in options.page:
        put(page, parts)
    print(f"{card}: scores of {len(parts)} suite{'s' if len(parts) > 1 else ''}.")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(Options, run, None, "python -m eval.suite.card"))
