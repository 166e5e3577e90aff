"""What the options of commands have in common: plain values, absolute paths, and names that they once had."""

import dataclasses
import functools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from flexlam_rl.utils.numbers import whole as whole_number
from flexlam_rl.utils.plain import python_value

K = TypeVar("K", bound=type)


def formerly(*names: str) -> dict[str, Any]:
    """Metadata of a dataclass field that had other names: files, commands and scripts with these are understood."""
    return {"formerly": names}


def former_names(options: type) -> dict[str, str]:
    """Former name to name of today, of all fields of a dataclass that have one."""
    return {old: f.name for f in dataclasses.fields(options) for old in f.metadata.get("formerly", ())}


def takes_former_names(options: K) -> K:
    """Decorate a dataclass whose constructor, and `dataclasses.replace`, shall take the former names of fields too."""
    build, names = options.__init__, former_names(options)  # type: ignore[misc]

    @functools.wraps(build)
    def __init__(self: Any, *args: Any, **given: Any) -> None:
        today = {names[name]: value for name, value in given.items() if name in names}
        build(self, *args, **{name: value for name, value in given.items() if name not in names} | today)

    options.__init__ = __init__  # type: ignore[misc]
    return options


def tidy(options: Any) -> None:
    """Turn the fields of a frozen dataclass into Python's own values, and its paths into absolute ones.

    Paths are resolved once, here: a later change of the working directory does not move them, and no library meets
    a relative path or a "..".

    Args:
        options: Instance of a dataclass; call this from its `__post_init__`.

    Raises:
        ValueError: If a path is empty, which would silently mean the working directory.
    """
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        is_path = field.type in (Path, Path | None)
        if is_path and isinstance(value, str) and not value:
            raise ValueError(f"{field.name} is an empty path; expected a folder ('.' for the working directory).")
        found = Path(value).resolve() if is_path and isinstance(value, str | os.PathLike) else python_value(value)
        object.__setattr__(options, field.name, found)


def whole(options: Any, name: str, low: int, high: int | None = None) -> None:
    """Check that the option `name` is None or a whole number in low..high.

    Raises:
        ValueError: It is something else; the sentence names it and its value.
    """
    if (value := getattr(options, name)) is not None:
        whole_number(value, name, low, high)


def named_values(texts: Sequence[str], name: str) -> dict[str, Any]:
    """Read NAME=VALUE texts; a value is a number, true or false where it reads as one, and a text otherwise.

    Args:
        texts: As given on the command line.
        name: Of the option that holds them.

    Raises:
        ValueError: One has no "=", or a name comes twice.
    """
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = str(text).partition("=")
        if not key or not equals or not value:
            raise ValueError(f"{name} has {text!r}; expected NAME=VALUE.")
        if key in found:
            raise ValueError(f"{name} has {key!r} twice; expected it once.")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found
