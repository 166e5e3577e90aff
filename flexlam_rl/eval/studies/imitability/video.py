"""A video to clone: the part to learn from, the part to measure on, and the expert that played it."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.datasets import Rollouts, RolloutStore, open_rollouts
from flexlam_rl.datasets.store import find_stores
from flexlam_rl.envs.domain import DOMAINS, find_domain
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.models.baselines.clone import CloneConfig, Memory


@dataclass(frozen=True)
class Video:
    """A video: a folder of rollouts.

    Attributes:
        folder: Folder of a collection, or of a store.
        tasks: Levels to take; None for all.
        frames: Largest number of frames to learn from, the same number per level.
        held_out: Largest number of frames to measure on, from the split "test" or, without one, from the last episodes.
    """

    folder: Path
    tasks: tuple[str, ...] | None
    frames: int
    held_out: int

    @cached_property
    def train(self) -> Rollouts:
        """Stores to learn from."""
        return open_rollouts(self.folder, self.tasks, "train")

    @cached_property
    def _parts(self) -> tuple[Rollouts, tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
        """Stores to measure on, rows to learn from, and rows to measure on."""
        count = len(self.train)
        own = not _has_test(self.folder)
        test = self.train if own else open_rollouts(self.folder, list(self.train.levels), "test")
        few = -(-self.held_out // count)
        learn, measure = [], []
        for store, other in zip(self.train.stores, test.stores, strict=True):
            ends = _ends(store)
            kept = max(1, len(ends) - max(1, int(np.sum(ends > ends[-1] - few)))) if own else len(ends)
            if own and len(ends) < 2:
                raise ValueError(f"{store.path} has one episode and no split 'test': expected two episodes or more.")
            enough = int(np.searchsorted(ends[:kept], self.frames // count))
            learn.append((0, int(ends[min(enough, kept - 1)])))
            start = int(ends[kept - 1]) if own else 0
            measure.append((start, min(start + few, other.rows)))
        return test, tuple(learn), tuple(measure)

    @property
    def test(self) -> Rollouts:
        """Stores to measure on."""
        return self._parts[0]

    @property
    def learn(self) -> tuple[tuple[int, int], ...]:
        """Rows of each store to learn from."""
        return self._parts[1]

    @property
    def measure(self) -> tuple[tuple[int, int], ...]:
        """Rows of each store to measure on."""
        return self._parts[2]

    @cached_property
    def actions(self) -> int:
        """Number of numbered actions.

        Raises:
            ValueError: The video has no numbered actions.
        """
        for store in self.train.stores:
            if not store.with_actions or (store.action.whole() < 0).all():
                raise ValueError(f"{store.path} has no numbered actions: there is nothing to clone.")
        known = len(self.train.stores[0].origin.action_table)
        return known or 1 + max(int(store.action.whole().max()) for store in self.train.stores)

    @property
    def expert(self) -> str:
        """Name of the expert that played, as the video records it."""
        return self.train.stores[0].origin.policy

    @property
    def temperature(self) -> float:
        """Temperature at which the expert played."""
        return float(self.train.stores[0].origin.policy_params.get("temperature", 1.0))

    @property
    def name(self) -> str:
        """Name of the expert in tables, with the share of random steps."""
        perturb = self.train.stores[0].origin.policy_params.get("perturb")
        kind, _, argument = self.expert.partition(":")
        short = f"{kind}:{Path(argument).parent.name or argument}" if "/" in argument else self.expert
        return f"{short} (perturb {perturb:g})" if perturb else short

    @property
    def spec(self) -> EnvSpec:
        """Record of the environments: how they were shown and controlled."""
        return self.train.stores[0].spec

    @cached_property
    def playable(self) -> bool:
        """Whether the video's world can be played here."""
        spec = self.spec
        if spec.domain.partition(":")[0] not in DOMAINS.names():
            return False
        try:
            domain = find_domain(spec.domain)
            domain.resolve(replace(spec))
            for level in self.train.levels:
                domain.task(level)
        except (ValueError, ImportError):
            return False
        return True

    def config(self, memory: Memory, previous: bool) -> CloneConfig:
        """Make the configuration of a clone."""
        colours = int(self.train.stores[0].frames.row[-1])
        return CloneConfig(self.actions, memory, previous, self.spec, colours)


def _has_test(folder: Path) -> bool:
    return any(path.stem == "test" for path in find_stores(folder))


def _ends(store: RolloutStore) -> Any:
    """Return the rows before which the episodes end."""
    table = store.episode_table
    return table["start"] + table["rows"]
