"""Stores of counter-stamped frames for all tests of the data."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stamps import ORIGIN, episode

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.store import Rollouts, RolloutStore
from flexlam_rl.datasets.writer import RolloutWriter

LEVELS = ("alpha", "beta", "gamma")


def ragged(level: int, seed: int = 0, count: int = 24) -> list[Episode]:
    """Episodes of odd lengths (1 to 40 actions), some with restarts, also at the first and the last row, some without a last frame."""
    random = np.random.default_rng([seed, level])
    episodes = []
    for number in range(count):
        length = int(random.integers(1, 41))
        last = bool(random.random() < 0.6)
        rows = length + last
        restarts = tuple(int(r) for r in random.integers(1, rows, 2)) if rows > 3 and random.random() < 0.5 else ()
        if number % 7 == 3 and rows > 1:
            restarts += (rows - 1,)
        episodes.append(episode(level, number, length, restarts, last))
    return episodes


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., tuple[RolloutStore, list[Episode]]]:
    """A function that writes a store of ragged episodes with small chunks and shards, so that every boundary occurs."""

    def make(level: int = 0, episodes: list[Episode] | None = None, root: Path = tmp_path / "data", **options: object) -> tuple[RolloutStore, list[Episode]]:
        episodes = ragged(level) if episodes is None else episodes
        layout = {"chunk": 4, "shard": 64, **options}
        with RolloutWriter(root, LEVELS[level], "train", ORIGIN, **layout) as writer:  # type: ignore[arg-type]
            for number in range(0, len(episodes), 3):
                writer.append_episodes(episodes[number : number + 3])
        return RolloutStore(writer.path), episodes

    return make


@pytest.fixture
def rollouts(make_store: Callable[..., tuple[RolloutStore, list[Episode]]]) -> tuple[Rollouts, list[list[Episode]]]:
    """Three levels of ragged episodes."""
    made = [make_store(level) for level in range(3)]
    return Rollouts([store for store, _ in made]), [episodes for _, episodes in made]
