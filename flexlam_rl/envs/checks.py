"""Checks of the options and numbers that callers give; NumPy's scalars count as the numbers they are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flexlam_rl.utils.numbers import is_integer

_LARGEST = 2**31 - 1


def integer(name: str, value: Any, low: int = 1) -> int:
    """Check an integer option.

    Args:
        name: What the sentence calls it.
        value: What the caller gave.
        low: The smallest value allowed.

    Raises:
        ValueError: It is no integer from `low` to 2**31 - 1.
    """
    if not is_integer(value) or value < low:
        raise ValueError(f"{name} must be an integer of at least {low}, got {value!r}.")
    if value > _LARGEST:
        raise ValueError(f"{name} must be an integer of at most {_LARGEST}, got {value!r}.")
    return int(value)


def flag(name: str, value: Any) -> bool:
    """Check an option that is True or False.

    Raises:
        ValueError: It is something else, such as a string or a number.
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {value!r}.")
    return bool(value)


def one_of(name: str, value: Any, allowed: Sequence[str | None]) -> None:
    """Check an option that is one of a few strings (or None).

    Raises:
        ValueError: It is none of them.
    """
    if not (value is None or isinstance(value, str)) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}.")


def reset_options(options: Any, known: Sequence[str]) -> Mapping[str, Any]:
    """Check the `options` of a reset.

    Args:
        options: What the caller gave, or None.
        known: The names that mean something.

    Returns:
        The options, an empty mapping for None.

    Raises:
        ValueError: They are no dictionary, or hold a name that means nothing here.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise ValueError(f"options must be a dictionary or None, got {options!r}.")
    for name in options:
        if name not in known:
            raise ValueError(f"options of reset must hold nothing but {', '.join(map(repr, known))}, got {name!r}.")
    return options


def writable(state: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the attributes of an unpickled object, its arrays made writable.

    Some ways to pickle hand over arrays in memory that is shared and read-only.
    """
    return {
        name: np.require(value, requirements=["C", "A", "W", "O"]) if isinstance(value, np.ndarray) else value
        for name, value in state.items()
    }


def check_values(domain: str, fields: Mapping[str, tuple[Sequence[str], str]]) -> None:
    """Check what a record says against what its domain has.

    Args:
        domain: Its name, for the message.
        fields: By name: the values that are allowed ("" for a value that may be left out), and the record's.

    Raises:
        ValueError: A value is not allowed.
    """
    for name, (allowed, value) in fields.items():
        if value not in allowed:
            raise ValueError(f"{name} of {domain} must be {' or '.join(filter(None, allowed))}, got {value!r}.")
