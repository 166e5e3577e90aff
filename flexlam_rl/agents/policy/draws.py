"""Random numbers of many environments, each with its own stream.

Legend: `n` environments, `W` numbers a step.
"""

from typing import Any

import numpy as np

from flexlam_rl.agents.policy.rows import begun
from flexlam_rl.utils.numbers import whole

_STEPS = 64  # steps drawn at once


class Draws:
    """Uniform numbers in [0, 1), `W` a step and environment.

    Args:
        seed: With the episode seeds given to `begin` it determines every number; without them, with the environment's
            place.
        width: W.

    Raises:
        ValueError: The seed is no whole number from 0 on.
    """

    def __init__(self, seed: int, width: int) -> None:
        self._seed, self._width = whole(seed, "seed"), width
        self._generators: list[np.random.Generator] = []
        self._drawn = np.zeros((0, _STEPS, width))
        self._at = np.zeros(0, np.int64)

    def _grow(self, rows: int) -> None:
        """Make room for `rows` environments."""
        have = len(self._generators)
        if rows <= have:
            return
        self._generators += [np.random.default_rng([self._seed, 1, i]) for i in range(have, rows)]
        self._drawn = np.concatenate([self._drawn, np.zeros((rows - have, _STEPS, self._width))])
        self._at = np.concatenate([self._at, np.full(rows - have, _STEPS)])

    def begin(self, which: Any, seeds: Any) -> None:
        """Environments `which` begin episodes of these seeds.

        Args:
            which: Bool mask of all environments, or indices.
            seeds: One for each entry of `which`.

        Raises:
            ValueError: `which` or the seeds are not such; nothing has begun then.
        """
        index, numbers = begun(which, seeds)
        if len(index):
            self._grow(int(index.max()) + 1)
        for i, seed in zip(index.tolist(), numbers, strict=True):
            self._generators[i] = np.random.default_rng([self._seed, 0, seed])
            self._at[i] = _STEPS

    def next(self, rows: int) -> np.ndarray:
        """The next numbers of environments 0 to `rows`, (rows, W)."""
        self._grow(rows)
        for i in np.flatnonzero(self._at[:rows] == _STEPS).tolist():
            self._drawn[i] = self._generators[i].random((_STEPS, self._width))
            self._at[i] = 0
        drawn = self._drawn[np.arange(rows), self._at[:rows]]
        self._at[:rows] += 1
        return drawn
