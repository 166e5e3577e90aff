"""What the options of commands have in common: plain values and absolute paths."""

import dataclasses
import os
from pathlib import Path
from typing import Any

from flexlam_rl.utils.numbers import whole as whole_number
from flexlam_rl.utils.plain import python_value


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
