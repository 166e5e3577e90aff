"""Rollouts in memory read as the same episodes on disk do."""

import numpy as np
import pytest

from flexlam_rl.datasets import Episode, Origin, RolloutStore, RolloutWriter, TransitionPairs, Windows
from flexlam_rl.datasets.memory import MemoryStore

ORIGIN = Origin(engine="litelab", action_set="dreamer15", action_table=((0,) * 7,) * 15)


def episodes(count: int = 3) -> list[Episode]:
    rng = np.random.default_rng(0)
    found = []
    for key in range(count):
        length = 7 + key
        restart = np.zeros(length + 1, bool)
        restart[3] = key == 1
        frames = rng.integers(0, 256, (length + 1, 8, 12, 3), dtype=np.uint8)
        action = rng.integers(0, 15, length).astype(np.int16)
        reward = rng.integers(0, 9, length).astype(np.float32)
        found.append(Episode(frames, action, reward, truncated=True, restart=restart, key=key))
    return found


@pytest.fixture
def both(tmp_path):
    given = episodes()
    with RolloutWriter(tmp_path, "x", "train", ORIGIN) as writer:
        writer.append_episodes(given)
    return MemoryStore("x", given, ORIGIN), RolloutStore(writer.path)


@pytest.mark.parametrize("kind", [TransitionPairs, lambda store, fields: Windows(store, 4, fields)])
def test_items_are_those_of_the_disk(both, kind):
    fields = ("action", "reward", "previous_action")
    memory, disk = (kind(store, fields) for store in both)
    assert len(memory) == len(disk) > 0
    mine, theirs = (sampler.read(np.arange(len(disk))) for sampler in (memory, disk))
    assert mine.keys() == theirs.keys()
    for name, values in theirs.items():
        assert np.array_equal(mine[name], values), name


def test_other_frames_have_another_digest(both):
    memory, _ = both
    changed = episodes()
    changed[2].frames[5, 0, 0, 0] ^= 1
    assert MemoryStore("x", changed, ORIGIN).digest != memory.digest == MemoryStore("x", episodes(), ORIGIN).digest


def test_no_episodes_are_refused():
    with pytest.raises(ValueError, match="got no episodes"):
        MemoryStore("x", [], ORIGIN)
