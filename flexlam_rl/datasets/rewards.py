"""Rewards of imported data: a type that holds them, and none that is no number."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from flexlam_rl.utils.numbers import exact


def reward_type(dtype: DTypeLike) -> str:
    """Choose the type of a store's rewards: "float32" where it holds every number of `dtype`, else "float64".

    Args:
        dtype: Of the rewards that will be stored.
    """
    return "float32" if np.result_type(dtype, np.float32) == np.float32 else "float64"


def exact_rewards(values: Any, dtype: DTypeLike, what: str) -> np.ndarray:
    """Convert rewards to the type of a store.

    Args:
        values: (T,) numbers.
        dtype: "float32" or "float64".
        what: Names the data in the error.

    Raises:
        ValueError: One would change, or is NaN or infinite.
    """
    found = exact(values, dtype, f"Reward of {what}")
    wrong = np.flatnonzero(~np.isfinite(found))
    if wrong.size:
        raise ValueError(f"Reward of {what} is {found[wrong[0]]} at {wrong[0]}: expected finite numbers.")
    return found
