"""`flexlam levels`: which levels there are."""

from dataclasses import dataclass

from flexlam_rl.envs.domains.dmlab.levels import LEVELS


@dataclass(frozen=True)
class Options:
    """List the levels with their length, and mark those that the suite scores."""


def run(options: Options) -> int:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    table = Table("level", "seconds", "steps", "scored", box=None, header_style="bold")
    for level in LEVELS.values():
        table.add_row(level.name, str(level.seconds), str(level.frames // 4), "yes" if level.scored else "")
    Console().print(table)
    return 0
