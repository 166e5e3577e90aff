"""Infos of a batch in the form of Gymnasium's vector environments: one array per key, each with a mask."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


class BatchInfos:
    """Makes the infos of a batch. Every array is new, so callers may change it.

    Args:
        engine: The engine of all environments.
        levels: One level per environment.
    """

    def __init__(self, engine: str, levels: Sequence[str]) -> None:
        self._engine = engine
        self._levels = list(levels)
        self._engines = self._objects([engine] * len(levels))
        self._level_names = self._objects(levels)
        self._no_events = self._objects([()] * len(levels))

    @staticmethod
    def _objects(values: Sequence[Any]) -> np.ndarray:
        array = np.empty(len(values), dtype=object)
        for i, value in enumerate(values):  # one by one, because NumPy would turn tuples into rows
            array[i] = value
        return array

    def one(self, i: int, seed: int, reset: bool, frames: int, events: tuple[Any, ...]) -> dict[str, Any]:
        """The info of environment `i` alone, as `DMLabEnv` gives it."""
        return {
            "engine": self._engine,
            "level": self._levels[i],
            "episode_seed": seed,
            "map_reset": reset,
            "frames": frames,
            "events": events,
        }

    def all(
        self, seeds: np.ndarray, resets: np.ndarray, frames: np.ndarray, events: Mapping[int, tuple[Any, ...]]
    ) -> dict[str, Any]:
        """The infos of all environments; `events` is keyed by the number of the environment."""
        happened = self._no_events.copy()
        for i, event in events.items():
            happened[i] = event
        values = {
            "engine": self._engines.copy(),
            "level": self._level_names.copy(),
            "episode_seed": seeds.copy(),
            "map_reset": resets,
            "frames": frames,
            "events": happened,
        }
        infos: dict[str, Any] = {}
        for name, value in values.items():
            infos[name] = value
            infos["_" + name] = np.ones(len(seeds), np.bool_)
        return infos
