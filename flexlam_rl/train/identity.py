"""Comparison of configurations: what makes two runs the same run.

A run's folder holds its configuration, and only a run with an equal one can continue there. Dataclass fields with the
metadata `utils.options.free()` do not count: a run may be moved to another device, extended, or logged and saved at
other intervals. A field with `{"follows": NAME}` counts only if the field NAME beside it is equal, and a field with
`{"formerly": NAMES}` is also found under its earlier names in older files.
"""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flexlam_rl.nn.pretrained import to_json
from flexlam_rl.train.errors import TrainingError
from flexlam_rl.train.state import STATE, saved_step
from flexlam_rl.utils.files import write_atomically
from flexlam_rl.utils.options import former_names

ABSENT = "absent"


def differences(before: Any, now: Any, config: Any = None, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Find the fields of a run's identity that differ: (dotted name, value before, value now).

    Args:
        before: Configuration on disk, as JSON.
        now: Requested configuration, as JSON.
        config: The dataclass that `now` was made from, whose field metadata is used.
        name: Dotted name of this part of the configuration.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        fields = {f.name: f for f in dataclasses.fields(config)} if dataclasses.is_dataclass(config) else {}
        if fields:
            names = former_names(type(config))
            before = {names.get(key, key): value for key, value in before.items()}
        for key in sorted(before.keys() | now.keys()):
            metadata = fields[key].metadata if key in fields else {}
            leader = metadata.get("follows")
            missing = key not in before and metadata.get("unknown before")
            if not metadata.get("identity", True) or missing or (leader and before.get(leader) != now.get(leader)):
                continue
            # files leave out later fields that have their default value
            default = resolved(fields[key].default) if "later" in metadata else ABSENT
            inner = f"{name}.{key}" if name else key
            yield from differences(before.get(key, default), now.get(key, default), getattr(config, key, None), inner)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for i, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from differences(old, new, None, f"{name}[{i}]")
    elif before != now:
        yield name, before, now


def _show(value: Any) -> str:
    text = value if value == ABSENT else repr(value)
    return text if len(text) <= 60 else f"{text[:24]}…{text[-12:]}"


def resolved(config: Any) -> Any:
    """Convert a configuration to the JSON value that config.json holds."""
    return json.loads(json.dumps(to_json(config), default=str))


def compare_folder(out: Path, config: Any, ignore: tuple[str, ...] = ()) -> None:
    """Check that `out` is free, or holds a run that `config` continues; nothing is written.

    Args:
        out: Folder of the run.
        config: A dataclass; its field `loop`, if it has one, holds the length of the run.
        ignore: Top-level fields that are not known yet.

    Raises:
        TrainingError: `out` belongs to another run, or has already trained more steps.
    """
    path = out / "config.json"
    if not path.exists():
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} is no readable JSON: {error}.") from None
    found = [row for row in differences(before, resolved(config), config) if row[0].split(".")[0] not in ignore]
    if found:
        said = "; ".join(f"{name} is {_show(old)} there and {_show(new)} here" for name, old, new in found)
        raise TrainingError(
            f"{out} holds a run with another configuration: {said}. Give the run's own values, or another --out."
        )
    steps = getattr(getattr(config, "loop", config), "steps", None)
    if steps is not None and (out / STATE).exists():
        refuse_shorter(out, saved_step(out / STATE), steps)


def refuse_shorter(out: Path, done: int, steps: int) -> None:
    """Raise a TrainingError if a run has already trained more steps than requested."""
    if done > steps:
        raise TrainingError(
            f"{out} has already trained {done} steps, and steps is {steps}: give at least {done}, or another --out."
        )


def check_folder(out: Path, config: Any) -> None:
    """Make `out` this run's folder, or check that it already is; config.json then holds the current configuration.

    Args:
        out: Folder of the run.
        config: A dataclass.

    Raises:
        TrainingError: `out` belongs to a run with another configuration; the message names every field that differs,
            with both values.
    """
    compare_folder(out, config)
    text = (json.dumps(resolved(config), indent=2, sort_keys=True) + "\n").encode()
    path = out / "config.json"
    if not path.exists() or path.read_bytes() != text:
        write_atomically(path, text)
