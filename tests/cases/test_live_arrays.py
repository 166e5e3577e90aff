"""What was checked stays as it was: nothing handed in or out shares memory with what is kept."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flexlam_rl.datasets import Episode, Origin, RolloutWriter, load_labels, make_labels
from flexlam_rl.datasets.store import Rollouts, RolloutStore
from flexlam_rl.datasets.validate import validate


def test_a_generator_may_use_its_memory_again(tmp_path: Path) -> None:
    frames, reward = np.empty((5, 8, 8, 3), np.uint8), np.empty(4, np.float32)

    def episodes() -> Iterator[Episode]:
        for key in range(3):
            frames[:], reward[:] = key, key
            yield Episode(frames, np.zeros(4, int), reward, key=key)

    with RolloutWriter(tmp_path, "x", "train", Origin(engine="x")) as writer:
        writer.append_episodes(episodes())
    store = RolloutStore(writer.path)
    assert store.frames[:, 0, 0, 0].tolist() == np.repeat(range(3), 5).tolist()
    assert [one.reward[0] for one in store.iter_episodes() if one.reward is not None] == [0, 1, 2]


def test_nothing_handed_out_changes_the_store(tmp_path: Path) -> None:
    params: dict[str, Any] = {"list": [1]}
    origin = Origin(engine="x", policy_params=params)
    with RolloutWriter(tmp_path, "x", "train", origin) as writer:
        params["list"].append(2)
        origin.policy_params["other"] = 1
        writer.origin.policy_params["list"].append(3)
        writer.append_episode(Episode(np.zeros((5, 8, 8, 3), np.uint8), np.zeros(4, int), np.zeros(4), key=0))
        assert isinstance(writer.keys, frozenset)
    store = RolloutStore(writer.path)
    store.attributes["commit"]["rows"] = 99
    store.origin.policy_params["list"].append(4)
    assert store.rows == 5 and store.origin.policy_params == {"list": [1]}
    make_labels(Rollouts([store]), "few", count=2)
    rows = load_labels(Rollouts([store]), "few").rows[0]
    for kept in (store.episode_table["start"], store.segments.start, store.action.whole(), rows):
        with pytest.raises(ValueError, match="read-only"):
            kept[0] = 7
    np.array(store.action)[0] = 7
    store.episode_at(0).frames[:] = 7
    assert validate(store.path).good and not store.frames[:].any() and store.action[0] == 0
