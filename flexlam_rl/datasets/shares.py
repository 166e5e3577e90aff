"""Division of numbered episodes or videos into training and test data."""

import math

SPLITS = ("train", "test")


def split_of(number: int, share: float) -> str:
    """Choose the split of an item by its number, so that test items are spread evenly.

    Among the first n items, n * share (rounded down) are test data, so items that are added later change nothing.

    Args:
        number: Number of the item, from 0.
        share: Share of test data.

    Returns:
        "train" or "test".

    Raises:
        ValueError: The share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"test_share is {share}: expected more than 0 and less than 1.")
    return SPLITS[math.floor((number + 1) * share + 1e-9) > math.floor(number * share + 1e-9)]
