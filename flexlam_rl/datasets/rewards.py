"""Rewards of imported data: the choice of their type, and their exact conversion."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from flexlam_rl.utils.numbers import exact


def reward_type(dtype: DTypeLike) -> str:
    """Choose the type of a store's rewards: "float32" if it holds every number of `dtype`, else "float64".

    Args:
        dtype: Type of the rewards to store.
    """
    return "float32" if np.result_type(dtype, np.float32) == np.float32 else "float64"


def exact_rewards(values: Any, dtype: DTypeLike, what: str) -> np.ndarray:
    """Convert rewards to the type of a store.

    Args:
        values: (T,) numbers.
        dtype: "float32" or "float64".
        what: Name of the data in errors.

    Raises:
        ValueError: A reward would change, or is NaN or infinite.
    """
    found = exact(values, dtype, f"Reward of {what}")
    wrong = np.flatnonzero(~np.isfinite(found))
    if wrong.size:
        raise ValueError(f"Reward of {what} is {found[wrong[0]]} at {wrong[0]}: expected finite numbers.")
    return found
