"""A shuffle as a function: it computes the item at any position from a key, without a stored permutation.

It is a Feistel network on the smallest power of two that holds all items, applied until the result is an item (cycle
walking). It is a bijection for any number of items and any key, needs no memory, and can be evaluated at any position,
so that even with 160 million items the cursor of a stream is one number.
"""

import operator

import numpy as np

from flexlam_rl.utils.numbers import exact

ROUNDS = 6
_MULTIPLIER = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)


def _mix(x: np.ndarray) -> np.ndarray:
    """Apply SplitMix64's finalizer: every bit of the result depends on every bit of `x`."""
    x = (x ^ (x >> np.uint64(30))) * _MULTIPLIER
    x = (x ^ (x >> np.uint64(27))) * _MULTIPLIER_2
    return x ^ (x >> np.uint64(31))


class Permutation:
    """A keyed bijection of 0..n-1.

    Args:
        n: Number of items.
        key: Whole numbers, such as (seed, epoch); different keys give different shuffles.
    """

    def __init__(self, n: int, *key: int) -> None:
        self.n = n = operator.index(n)
        bits = max(2, (n - 1).bit_length())
        self._low_bits = np.uint64(bits // 2)
        self._low_mask = np.uint64((1 << (bits // 2)) - 1)
        self._high_mask = np.uint64((1 << (bits - bits // 2)) - 1)
        # SeedSequence spreads any key over all bits, the same on every platform
        self._keys = np.random.SeedSequence([operator.index(k) & (2**64 - 1) for k in key]).generate_state(
            ROUNDS, np.uint64
        )

    def __call__(self, position: np.ndarray) -> np.ndarray:
        """Compute the items, int64, at positions.

        Raises:
            IndexError: A position is not in 0..n-1.
        """
        position = exact(position, np.int64, "Positions of a permutation")
        if position.size and (position.min() < 0 or position.max() >= self.n):
            raise IndexError(f"Position {position.max()} of a permutation of {self.n} items.")
        item = self._network(position.astype(np.uint64).reshape(-1))
        outside = np.flatnonzero(item >= self.n)
        while outside.size:
            item[outside] = self._network(item[outside])
            outside = outside[item[outside] >= self.n]
        return item.astype(np.int64).reshape(position.shape)

    def _network(self, x: np.ndarray) -> np.ndarray:
        low, high = x & self._low_mask, x >> self._low_bits
        with np.errstate(over="ignore"):
            for number, key in enumerate(self._keys):
                if number % 2:
                    low = low ^ (_mix(high + key) & self._low_mask)
                else:
                    high = high ^ (_mix(low + key) & self._high_mask)
        return (high << self._low_bits) | low
