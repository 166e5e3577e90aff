"""Tables of measured returns, as `flexlam expert score --out` writes them: a domain's own references.

A table is of one engine, and holds attributes of the measurement (look, action set, protocol, command, date) and
`levels[task][policy]` with mean, standard_error and episodes for the policies "random" and "expert", and for further
experts by their names ("reactive").
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
    """Find a task's reference in a table, None where it has not been measured.

    Args:
        path: Of the table.
        engine: Of the table.
        task: Its name.
        name: "expert", or the name of another expert that the table holds.
    """
    if name == "random" or not path.exists():
        return None
    rows = read_table(path, engine)["levels"].get(task)
    if rows is None or name not in rows:
        return None
    return Reference(engine, task, name, rows[name]["mean"], rows["random"]["mean"])
