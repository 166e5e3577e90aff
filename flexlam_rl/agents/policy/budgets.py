"""Budgets of a latent action policy: numbers, checked, or words that have them chosen or drawn at each step.

Legend: `n` environments, `M` slots.
"""

from typing import Any

import numpy as np

from flexlam_rl.utils.budget_words import AutoBudget, RandomBudget, checked_words, in_words

Budget = int | np.ndarray | AutoBudget | RandomBudget


def checked_budget(value: Any, slots: int, prefix: bool) -> Budget:
    """Give a budget that a policy can play with.

    Args:
        value: A number, one for each environment, or words ("auto:0.1").
        slots: M.
        prefix: Whether any prefix of the slots is a latent action.

    Returns:
        A number, an array of its own, or what the words say.

    Raises:
        ValueError: It is none; with what is.
    """
    if isinstance(value, AutoBudget | RandomBudget) or (isinstance(value, str) and in_words(value)):
        return checked_words(value, slots, prefix)
    try:
        budgets = np.asarray(value)
    except ValueError:  # rows of different lengths
        budgets = np.empty(0)
    low = 1 if prefix else slots
    if (
        budgets.dtype.kind not in "iu"
        or budgets.ndim > 1
        or budgets.size == 0
        or budgets.min() < low
        or budgets.max() > slots
    ):
        expected = (
            f"{low}..{slots}, auto:TOLERANCE or random:MEAN" if prefix else f"{slots}, the only one of a Fixed-K model"
        )
        raise ValueError(f"budget is {value!r}; expected {expected}.")
    return int(budgets) if budgets.ndim == 0 else budgets.astype(np.int64)


def random_chances(mean: float, slots: int) -> np.ndarray:
    """Chances of the budgets 1..M with a given mean that are spread as widely as it allows (largest entropy), (M,)."""
    lengths = np.arange(1, slots + 1)

    def chances(slope: float) -> np.ndarray:
        weights = np.exp(slope * (lengths - (slots if slope > 0 else 1)))
        return np.asarray(weights / weights.sum())

    low, high = -50.0, 50.0
    for _ in range(100):  # halves the range of the slope: the mean grows with it
        middle = (low + high) / 2
        low, high = (middle, high) if chances(middle) @ lengths < mean else (low, middle)
    return chances(low)


def drawn_budgets(chances: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Budgets (n,) from the chances of 1..M and uniform numbers in [0, 1), (n,)."""
    return np.minimum(np.searchsorted(chances.cumsum(), numbers, side="right") + 1, len(chances))
