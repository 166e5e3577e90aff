"""Tables of measured returns, as `flexlam expert score --out` writes them: a domain's own references.

A table is of one engine, and holds attributes of the measurement (look, action set, protocol, command, date) and
`levels[task][policy]` with mean, standard_error and episodes for the policies "random" and "expert".
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from flexlam_rl.envs.domain import Reference

SCHEMA, VERSION = "flexlam_rl.returns", 1


@cache
def read_table(path: Path, engine: str) -> dict[str, Any]:
    """Read a table.

    Raises:
        ValueError: The file is no such table, or one of another engine.
    """
    table: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    if table.get("schema") != SCHEMA or table.get("version") != VERSION:
        raise ValueError(
            f"{path} has schema {table.get('schema')!r} version {table.get('version')!r}: expected {SCHEMA!r} version "
            f"{VERSION}."
        )
    if table["engine"] != engine:
        raise ValueError(
            f"{path} holds returns of {table['engine']!r}: {engine}'s references are measured on {engine}."
        )
    return table


def measured_reference(path: Path, engine: str, task: str, name: str) -> Reference | None:
    """Find a task's reference in a table, None where it has not been measured."""
    if name != "expert" or not path.exists():
        return None
    rows = read_table(path, engine)["levels"].get(task)
    return None if rows is None else Reference(engine, task, name, rows["expert"]["mean"], rows["random"]["mean"])
