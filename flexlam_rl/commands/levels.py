"""`flexlam levels`: list the levels, or the tasks of another world."""

from dataclasses import dataclass

from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.domains.dmlab.levels import LEVELS, OWN


@dataclass(frozen=True)
class Options:
    """List the levels with their length, and mark those that the suite scores."""

    domain: str = "dmlab"
    """World whose tasks are listed: dmlab, vizdoom, or one of an installed package."""


def run(options: Options) -> int:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    if options.domain == "dmlab":
        table = Table("level", "seconds", "steps", "scored", box=None, header_style="bold")
        for level in (LEVELS | OWN).values():
            table.add_row(level.name, str(level.seconds), str(level.frames // 4), "yes" if level.scored else "")
    else:
        domain = find_domain(options.domain)
        table = Table("task", "steps", "scored", box=None, header_style="bold")
        for task in domain.tasks():
            steps = task.steps(domain.defaults().frame_skip)
            table.add_row(task.name, "-" if steps is None else str(steps), "yes" if task.scored else "")
    Console().print(table)
    return 0
