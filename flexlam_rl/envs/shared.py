"""Arguments of wrappers that are too heavy to copy."""

import copy
import os
from typing import Any


class Shared:
    """Holds an argument of a wrapper that its copies share.

    Gymnasium copies deeply what a wrapper records of its arguments, and again whenever an environment's `spec` is asked
    for; a policy's weights would be copied each time.

    Attributes:
        value: The argument.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __deepcopy__(self, memo: dict[int, Any]) -> "Shared":
        return self


def shared(value: Any) -> Any:
    """Put a heavy argument into a `Shared`; what is light (text, a path, None) or in one already, stays as it is."""
    return value if value is None or isinstance(value, str | os.PathLike | Shared) else Shared(value)


def unshared(value: Any) -> Any:
    """Take an argument out of its `Shared`, if it is in one."""
    return value.value if isinstance(value, Shared) else value


def copy_but(thing: Any, memo: dict[int, Any], *heavy: str) -> Any:
    """Copy an object deeply, except for the attributes `heavy`, which the copy shares.

    Args:
        thing: The object.
        memo: As `__deepcopy__` is given it.
        *heavy: Names of attributes.
    """
    copied: Any = object.__new__(type(thing))
    memo[id(thing)] = copied
    for name, value in thing.__dict__.items():
        copied.__dict__[name] = value if name in heavy else copy.deepcopy(value, memo)
    return copied
