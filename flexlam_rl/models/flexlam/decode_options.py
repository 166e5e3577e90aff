"""How a prior is run in play, checked."""

from typing import Any

import numpy as np
import torch


def checked_context(context: Any, trained: int) -> int:
    """Frames that a decision sees: `context`, or those that the model was `trained` with where that is None.

    Raises:
        ValueError: It is no whole number from 2 to `trained`.
    """
    if context is None:
        return trained
    if not (isinstance(context, int | np.integer) and 2 <= context <= trained):
        raise ValueError(
            f"context is {context} frames; expected 2..{trained}, with which the sequence model was trained."
        )
    return int(context)


def checked_cache(cache: Any) -> torch.dtype | None:
    """Type of cached keys and values, None for the model's own.

    Raises:
        ValueError: It is no type of floats.
    """
    if cache is not None and not (isinstance(cache, torch.dtype) and cache.is_floating_point):
        raise ValueError(f"cache is {cache!r}; expected a torch dtype of floats, as torch.bfloat16, or None.")
    return cache
