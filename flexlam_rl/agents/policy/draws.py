"""Random numbers of many environments, each with its own stream.

Legend: `n` environments, `W` numbers a step.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from flexlam_rl.agents.policy.rows import begun
from flexlam_rl.utils.numbers import whole

_STEPS = 64  # steps drawn at once


def states_of(generators: Iterable[np.random.Generator]) -> list[Any]:
    """States of generators, as JSON values."""
    return [generator.bit_generator.state for generator in generators]


def generators_of(states: Iterable[Any]) -> list[np.random.Generator]:
    """Generators that go on from states of `states_of`.

    Raises:
        ValueError: They are no such states.
    """
    generators = []
    for state in states:
        generators.append(np.random.default_rng(0))
        generators[-1].bit_generator.state = state
    return generators


class Draws:
    """Uniform numbers in [0, 1), `W` a step and environment.

    Args:
        seed: With the episode seeds given to `begin` it determines every number; without them, with the environment's
            place.
        width: W.
        stream: Numbers of another stream have nothing to do with these.

    Raises:
        ValueError: The seed is no whole number from 0 on.
    """

    def __init__(self, seed: int, width: int, stream: tuple[int, ...] = ()) -> None:
        self._seed, self._width, self._stream = whole(seed, "seed"), width, stream
        self._generators: list[np.random.Generator] = []
        self._drawn = np.zeros((0, _STEPS, width))
        self._at = np.zeros(0, np.int64)

    def _grow(self, rows: int) -> None:
        """Make room for `rows` environments."""
        have = len(self._generators)
        if rows <= have:
            return
        self._generators += [np.random.default_rng([self._seed, 1, i, *self._stream]) for i in range(have, rows)]
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
            self._generators[i] = np.random.default_rng([self._seed, 0, seed, *self._stream])
            self._at[i] = _STEPS

    def snapshot(self) -> dict[str, Any]:
        """Everything that later numbers depend on."""
        return {"generators": states_of(self._generators), "drawn": self._drawn, "at": self._at}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from a snapshot.

        Raises:
            ValueError: It is of draws of another width.
        """
        if saved["drawn"].shape[1:] != (_STEPS, self._width):
            raise ValueError(
                f"The saved draws have shape {saved['drawn'].shape[1:]}; expected {(_STEPS, self._width)}."
            )
        self._generators = generators_of(saved["generators"])
        self._drawn, self._at = saved["drawn"].copy(), saved["at"].copy()

    def next(self, rows: int) -> np.ndarray:
        """The next numbers of environments 0 to `rows`, (rows, W)."""
        self._grow(rows)
        for i in np.flatnonzero(self._at[:rows] == _STEPS).tolist():
            self._drawn[i] = self._generators[i].random((_STEPS, self._width))
            self._at[i] = 0
        drawn = self._drawn[np.arange(rows), self._at[:rows]]
        self._at[:rows] += 1
        return drawn
