"""Gymnasium's specification of an environment, in Python's own types."""

import copy
import os
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(part) for key, part in value.items()}
    return type(value)(map(_plain, value)) if type(value) in (list, tuple) else value


def plain_spec(spec: EnvSpec | None) -> EnvSpec | None:
    """Copy a specification so that JSON can hold it and it shares no lists with the caller.

    Args:
        spec: Gymnasium's specification; its arguments may contain NumPy's numbers, enums and paths.
    """
    if spec is None:
        return None
    plain = copy.copy(spec)
    plain.kwargs = _plain(spec.kwargs)
    return plain
