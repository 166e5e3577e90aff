"""A share of numbered things as test data."""

import math

SPLITS = ("train", "test")


def split_of(number: int, share: float) -> str:
    """Give the split of thing `number`, so that test things are spread evenly.

    Of the first n things, n times the share are test data, rounded down: things that come later move none.

    Raises:
        ValueError: The share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"test_share is {share}: expected more than 0 and less than 1.")
    return SPLITS[math.floor((number + 1) * share + 1e-9) > math.floor(number * share + 1e-9)]
