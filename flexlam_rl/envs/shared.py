"""Arguments of wrappers that are too heavy to copy."""

import copy
import os
from typing import Any


class Shared:
    """Holds an argument of a wrapper that copies of the wrapper share.

    Gymnasium makes deep copies of a wrapper's recorded arguments, also each time an environment's `spec` is read;
    without this class, a policy's weights would be copied each time.

    Attributes:
        value: The argument.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __deepcopy__(self, memo: dict[int, Any]) -> "Shared":
        return self


def shared(value: Any) -> Any:
    """Wrap a heavy argument in `Shared`; light ones (text, a path, None) and wrapped ones are returned as they are."""
    return value if value is None or isinstance(value, str | os.PathLike | Shared) else Shared(value)


def unshared(value: Any) -> Any:
    """Unwrap an argument if it is wrapped in `Shared`."""
    return value.value if isinstance(value, Shared) else value


def copy_but(thing: Any, memo: dict[int, Any], *heavy: str) -> Any:
    """Copy an object deeply, except for the attributes `heavy`, which the copy shares.

    Args:
        thing: The object.
        memo: The argument of `__deepcopy__`.
        *heavy: Names of the attributes to share.
    """
    copied: Any = object.__new__(type(thing))
    memo[id(thing)] = copied
    for name, value in thing.__dict__.items():
        copied.__dict__[name] = value if name in heavy else copy.deepcopy(value, memo)
    return copied
