"""Stores of counter-stamped frames for all tests of the data."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.append(
    str(Path(__file__).parent)
)  # for the helper module beside the tests: pytest imports test files without their folder
from stamps import ORIGIN, episode

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.store import Rollouts, RolloutStore, open_rollouts
from flexlam_rl.datasets.writer import RolloutWriter

LEVELS = ("alpha", "beta", "gamma")


def ragged(level: int, seed: int = 0, count: int = 24) -> list[Episode]:
    """Episodes of odd lengths (1 to 40 actions), some with restarts, also at the first and the last row, some without a
    last frame.
    """
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


def write(
    root: Path, level: int, episodes: list[Episode] | None = None, **options: object
) -> tuple[RolloutStore, list[Episode]]:
    """A store of ragged episodes with small chunks and shards, so that every boundary occurs."""
    episodes = ragged(level) if episodes is None else episodes
    with RolloutWriter(root, LEVELS[level], "train", ORIGIN, **{"chunk": 4, "shard": 64, **options}) as writer:  # type: ignore[arg-type]
        for number in range(0, len(episodes), 8):
            writer.append_episodes(episodes[number : number + 8])
    return RolloutStore(writer.path), episodes


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., tuple[RolloutStore, list[Episode]]]:
    """A function that writes a store: `make_store(level, episodes, root, **layout)`."""

    def make(
        level: int = 0, episodes: list[Episode] | None = None, root: Path | None = None, **options: object
    ) -> tuple[RolloutStore, list[Episode]]:
        return write(root or tmp_path / "data", level, episodes, **options)

    return make


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[Episode]]]:
    """Three levels of ragged episodes, written once and not to be changed."""
    root = tmp_path_factory.mktemp("rollouts")
    return root, [write(root, level)[1] for level in range(3)]


@pytest.fixture
def rollouts(shared: tuple[Path, list[list[Episode]]]) -> tuple[Rollouts, list[list[Episode]]]:
    """Those levels, freshly opened."""
    return open_rollouts(shared[0]), shared[1]
