"""What the options of commands have in common: plain numbers, absolute paths, and names that they once had."""

import dataclasses
import functools
import os
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

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
    """Turn NumPy scalars, 0-d arrays and 0-d tensors into Python numbers, and paths into absolute ones, in a frozen
    dataclass.

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
        if isinstance(value, np.ndarray) and value.ndim == 1:
            value = value.tolist()
        if isinstance(value, tuple | list):
            plain: Any = tuple(_plain(item) for item in value)
        elif is_path and isinstance(value, str | os.PathLike):
            plain = Path(value).resolve()
        else:
            plain = _plain(value)
        object.__setattr__(options, field.name, plain)


def _plain(value: Any) -> Any:
    if isinstance(value, str | bytes) or getattr(value, "shape", None) != ():
        return value
    return value.item()


def whole(options: Any, name: str, low: int, high: int | None = None) -> None:
    """Check that the option `name` is None or a whole number in low..high.

    Raises:
        ValueError: It is something else; the sentence names it and its value.
    """
    value = getattr(options, name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
        expected = f"a whole number, {low} or more" if high is None else f"a whole number, {low} to {high}"
        raise ValueError(f"{name} is {value!r}; expected {expected}.")
