"""Random numbers of many environments, each with its own stream.

Legend: `n` environments, `W` numbers per step.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from flexlam_rl.agents.policy.rows import begun
from flexlam_rl.utils.numbers import whole

_STEPS = 64  # steps drawn at once


def states_of(generators: Iterable[np.random.Generator]) -> list[Any]:
    """Return the states of generators, as JSON values."""
    return [generator.bit_generator.state for generator in generators]


def generators_of(states: Iterable[Any]) -> list[np.random.Generator]:
    """Make generators that continue from the states that `states_of` returned.

    Raises:
        ValueError: A state is not one of a generator.
    """
    generators = []
    for state in states:
        generators.append(np.random.default_rng(0))
        generators[-1].bit_generator.state = state
    return generators


class Draws:
    """Uniform numbers in [0, 1), `W` per step and environment.

    Args:
        seed: Seed that determines every number, together with the episode seeds given to `begin`, or, without these,
            with the environment's index.
        width: Number of numbers per step, W.
        stream: Name of the stream; numbers of different streams are independent.

    Raises:
        ValueError: The seed is not a whole number of at least 0.
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
        """Note that the environments `which` begin episodes of these seeds.

        Args:
            which: Bool mask of all environments, or indices.
            seeds: One seed per entry of `which`.

        Raises:
            ValueError: `which` or the seeds have another form; nothing has changed then.
        """
        index, numbers = begun(which, seeds)
        if len(index):
            self._grow(int(index.max()) + 1)
        for i, seed in zip(index.tolist(), numbers, strict=True):
            self._generators[i] = np.random.default_rng([self._seed, 0, seed, *self._stream])
            self._at[i] = _STEPS

    def snapshot(self) -> dict[str, Any]:
        """Return everything that later numbers depend on."""
        return {"generators": states_of(self._generators), "drawn": self._drawn, "at": self._at}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Continue from a snapshot.

        Raises:
            ValueError: The snapshot has another width.
        """
        if saved["drawn"].shape[1:] != (_STEPS, self._width):
            raise ValueError(
                f"The saved draws have shape {saved['drawn'].shape[1:]}; expected {(_STEPS, self._width)}."
            )
        self._generators = generators_of(saved["generators"])
        self._drawn, self._at = saved["drawn"].copy(), saved["at"].copy()

    def next(self, rows: int) -> np.ndarray:
        """Return the next numbers of environments 0 to `rows - 1`, (rows, W)."""
        self._grow(rows)
        for i in np.flatnonzero(self._at[:rows] == _STEPS).tolist():
            self._drawn[i] = self._generators[i].random((_STEPS, self._width))
            self._at[i] = 0
        drawn = self._drawn[np.arange(rows), self._at[:rows]]
        self._at[:rows] += 1
        return drawn
