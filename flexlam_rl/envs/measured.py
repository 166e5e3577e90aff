"""Tables of measured returns, written by `flexlam expert score --out`, from which domains take their references.

A table belongs to one engine. It holds how the returns were measured (look, action set, protocol, command, date), and
`levels[task][policy]` with mean, standard_error and episodes. Policies are "random", "expert" and further experts by
name ("reactive").
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
        ValueError: The file is not a table of returns, or belongs to another engine.
    """
    table: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    if table.get("schema") != SCHEMA or table.get("version") != VERSION:
        raise ValueError(
            f"{path} has schema {table.get('schema')!r} version {table.get('version')!r}: expected {SCHEMA!r} version "
            f"{VERSION}."
        )
    if table["engine"] != engine:
        raise ValueError(f"{path} holds returns of the engine {table['engine']!r}: expected {engine!r}.")
    return table


def measured_reference(path: Path, engine: str, task: str, name: str) -> Reference | None:
    """Find a task's reference in a table; None if it has not been measured.

    Args:
        path: File of the table.
        engine: Engine of the table.
        task: Name of the task.
        name: "expert", or the name of another expert in the table.
    """
    if name == "random" or not path.exists():
        return None
    rows = read_table(path, engine)["levels"].get(task)
    if rows is None or name not in rows:
        return None
    return Reference(engine, task, name, rows[name]["mean"], rows["random"]["mean"])
