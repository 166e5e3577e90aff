"""Checks of the options and the inputs with which a prior runs in play."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


def checked_context(context: Any, trained: int) -> int:
    """Check the number of frames that a decision sees; None stands for `trained`, the number of the model's training.

    Raises:
        ValueError: It is not a whole number from 2 to `trained`.
    """
    if context is None:
        return trained
    if not (isinstance(context, int | np.integer) and 2 <= context <= trained):
        raise ValueError(
            f"context is {context} frames; expected 2..{trained}, with which the sequence model was trained."
        )
    return int(context)


def checked_cache(cache: Any) -> torch.dtype | None:
    """Check the type of cached keys and values; None stands for the model's own.

    Raises:
        ValueError: It is not a floating-point type.
    """
    if cache is not None and not (isinstance(cache, torch.dtype) and cache.is_floating_point):
        raise ValueError(f"cache is {cache!r}; expected a floating-point torch dtype such as torch.bfloat16, or None.")
    return cache


def refuse_lost_past(first: Tensor) -> None:
    """Refuse a step without the last transitions' codes unless bool `first` (B,), whether a row is at its first frame,
    is true everywhere.

    Raises:
        ValueError: Some rows have a past.
    """
    if not bool(first.all()):
        raise ValueError("last_codes is None, but some rows have a past; their last transition's codes are needed.")
