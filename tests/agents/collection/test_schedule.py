"""Which episodes a collection needs, and their seeds."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexlam_rl.agents.collection.schedule import Schedule, episode_seeds
from flexlam_rl.datasets.episode import Episode

LEVEL = "rooms_watermaze"


def an_episode(length: int) -> Episode:
    return Episode(np.zeros((length + 1, 4, 4, 3), np.uint8), np.zeros(length, np.int16), np.zeros(length, np.float32))


def needed(lengths: list[int], steps: int) -> int:
    total, count = 0, 0
    while total < steps:
        total += lengths[count]
        count += 1
    return count


@given(
    lengths=st.lists(st.integers(1, 20), min_size=120, max_size=120),
    steps=st.integers(1, 100),
    at_once=st.integers(1, 9),
    order=st.integers(0, 2**32),
    cut=st.integers(0, 30),
)
def test_the_stored_episodes_depend_only_on_their_lengths(
    lengths: list[int], steps: int, at_once: int, order: int, cut: int
) -> None:
    expected = needed(lengths, steps)
    kept = min(cut, expected)  # what an earlier run had stored
    schedule = Schedule(steps, 20, True, kept, sum(lengths[:kept]))
    source = random.Random(order)
    running: list[int] = []
    stored = list(range(kept))
    while True:
        while len(running) < at_once and (key := schedule.begin()) is not None:
            running.append(key)
        if not running or schedule.complete:
            break
        key = running.pop(source.randrange(len(running)))
        ready = schedule.finish(key, an_episode(lengths[key]))
        stored += range(len(stored), len(stored) + len(ready))
        assert [episode.length for episode in ready] == lengths[len(stored) - len(ready) : len(stored)]
    assert schedule.complete
    assert len(stored) == expected
    assert schedule.stored == sum(lengths[:expected])


def test_levels_of_fixed_length_begin_no_episode_in_vain() -> None:
    schedule = Schedule(1000, 300, False)
    assert schedule.remaining == 4
    assert [schedule.begin() for _ in range(6)] == [0, 1, 2, 3, None, None]


def test_splits_share_no_seed_and_a_split_repeats_none() -> None:
    train = [set(episode_seeds(seed, LEVEL, "train", range(3000)).tolist()) for seed in (0, 1)]
    test = [set(episode_seeds(seed, LEVEL, "test", range(3000)).tolist()) for seed in (0, 1)]
    assert all(len(seeds) == 3000 for seeds in train + test)
    assert all(not a & b for a in train for b in test)
    assert len(train[0] & train[1]) < 10
    assert min(min(s) for s in train + test) >= 0
    assert max(max(s) for s in train + test) < 2**31
    # levels have mazes of their own
    assert episode_seeds(0, LEVEL, "train", [0]) != episode_seeds(0, "explore_goal_locations_small", "train", [0])
    # and the seeds of a collection never change
    assert (
        episode_seeds(7, LEVEL, "test", [0, 1, 2**20]).tolist()
        == episode_seeds(7, LEVEL, "test", range(2**20 + 1))[[0, 1, 2**20]].tolist()
    )


def test_another_split_is_refused() -> None:
    with pytest.raises(ValueError, match="'train', 'test', got 'validation'"):
        episode_seeds(0, LEVEL, "validation", [0])
