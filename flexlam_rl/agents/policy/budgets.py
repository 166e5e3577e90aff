"""Budgets of a latent action policy: numbers, or words by which the budget is chosen or drawn at each step.

Legend: `n` environments, `M` slots.
"""

from typing import Any

import numpy as np

from flexlam_rl.utils.budget_words import AutoBudget, RandomBudget, checked_words, in_words

Budget = int | np.ndarray | AutoBudget | RandomBudget


def checked_budget(value: Any, slots: int, prefix: bool) -> Budget:
    """Check that a policy can play with a budget.

    Args:
        value: A number, one number per environment, or words ("auto:0.1").
        slots: Number of slots, M.
        prefix: Whether every prefix of the slots is a latent action.

    Returns:
        A number, an array of its own, or the rule that the words name.

    Raises:
        ValueError: The policy cannot play with the budget; the message says what it can play with.
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
    """Return the distribution over the budgets 1..M with the given mean and the largest entropy, (M,)."""
    lengths = np.arange(1, slots + 1)

    def chances(slope: float) -> np.ndarray:
        weights = np.exp(slope * (lengths - (slots if slope > 0 else 1)))
        return np.asarray(weights / weights.sum())

    low, high = -50.0, 50.0
    for _ in range(100):  # bisects the slope, with which the mean grows
        middle = (low + high) / 2
        low, high = (middle, high) if chances(middle) @ lengths < mean else (low, middle)
    return chances(low)


def drawn_budgets(chances: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Draw budgets (n,) from the probabilities of 1..M with uniform numbers in [0, 1), (n,)."""
    return np.minimum(np.searchsorted(chances.cumsum(), numbers, side="right") + 1, len(chances))
