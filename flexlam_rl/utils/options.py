"""Shared parts of the options of commands: plain values, absolute paths, and former names."""

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
    """Metadata for a dataclass field that was renamed; files, commands and scripts may still use its former `names`."""
    return {"formerly": names}


def free() -> dict[str, Any]:
    """Metadata of a dataclass field that does not belong to a run's identity: a later command may change it."""
    return {"identity": False}


def former_names(options: type) -> dict[str, str]:
    """Map the former names of a dataclass's fields to today's names."""
    return {old: f.name for f in dataclasses.fields(options) for old in f.metadata.get("formerly", ())}


def takes_former_names(options: K) -> K:
    """Decorate a dataclass so that its constructor and `dataclasses.replace` accept former names of fields too."""
    build, names = options.__init__, former_names(options)  # type: ignore[misc]

    @functools.wraps(build)
    def __init__(self: Any, *args: Any, **given: Any) -> None:
        today = {names[name]: value for name, value in given.items() if name in names}
        build(self, *args, **{name: value for name, value in given.items() if name not in names} | today)

    options.__init__ = __init__  # type: ignore[misc]
    return options


def tidy(options: Any) -> None:
    """Convert the fields of a frozen dataclass to Python's own values, and its paths to absolute ones.

    Paths are resolved once, here, so that a later change of the working directory does not affect them, and no library
    receives a relative path or a "..".

    Args:
        options: Instance of a dataclass; call this from its `__post_init__`.

    Raises:
        ValueError: A path is empty, which would silently mean the working directory.
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
        ValueError: It is neither; the message names the option and its value.
    """
    if (value := getattr(options, name)) is not None:
        whole_number(value, name, low, high)


def named_values(texts: Sequence[str], name: str) -> dict[str, Any]:
    """Parse NAME=VALUE texts. A value that is valid JSON (a number, true, false) is read as such, any other as text.

    Args:
        texts: As given on the command line.
        name: Name of the option, for messages.

    Raises:
        ValueError: A text has no name, no "=" or no value, or a name occurs twice.
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
