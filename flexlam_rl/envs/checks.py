"""Checks of options and numbers from callers; NumPy scalars are accepted like Python's numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flexlam_rl.utils.numbers import is_integer

_LARGEST = 2**31 - 1


def integer(name: str, value: Any, low: int = 1) -> int:
    """Check an integer option and return it as a Python int.

    Args:
        name: Name of the option in the error.
        value: The caller's value.
        low: The smallest value allowed.

    Raises:
        ValueError: It is not an integer from `low` to 2**31 - 1.
    """
    if not is_integer(value) or value < low:
        raise ValueError(f"{name} must be an integer of at least {low}, got {value!r}.")
    if value > _LARGEST:
        raise ValueError(f"{name} must be an integer of at most {_LARGEST}, got {value!r}.")
    return int(value)


def flag(name: str, value: Any) -> bool:
    """Check an option that is True or False and return it as a Python bool.

    Raises:
        ValueError: It is neither True nor False, for example a string or a number.
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {value!r}.")
    return bool(value)


def one_of(name: str, value: Any, allowed: Sequence[str | None]) -> None:
    """Check an option that is one of a few strings (or None).

    Raises:
        ValueError: The value is not among `allowed`.
    """
    if not (value is None or isinstance(value, str)) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}.")


def reset_options(options: Any, known: Sequence[str]) -> Mapping[str, Any]:
    """Check the `options` of a reset.

    Args:
        options: The caller's options, or None.
        known: The names that are allowed.

    Returns:
        The options; an empty mapping for None.

    Raises:
        ValueError: The options are not a dictionary, or contain an unknown name.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise ValueError(f"options must be a dictionary or None, got {options!r}.")
    for name in options:
        if name not in known:
            raise ValueError(f"options of reset must hold only {', '.join(map(repr, known))}, got {name!r}.")
    return options


def writable(state: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the attributes of an unpickled object and make its arrays writable.

    With some ways of pickling, arrays arrive in shared, read-only memory.
    """
    return {
        name: np.require(value, requirements=["C", "A", "W", "O"]) if isinstance(value, np.ndarray) else value
        for name, value in state.items()
    }


def check_values(domain: str, fields: Mapping[str, tuple[Sequence[str], str]]) -> None:
    """Check the fields of an environment record against the values that its domain allows.

    Args:
        domain: Name of the domain, for the message.
        fields: Maps field names to (allowed values, the record's value); "" among the allowed values means that the
            field may be left empty.

    Raises:
        ValueError: A value is not allowed.
    """
    for name, (allowed, value) in fields.items():
        if value not in allowed:
            raise ValueError(f"{name} of {domain} must be {' or '.join(filter(None, allowed))}, got {value!r}.")
