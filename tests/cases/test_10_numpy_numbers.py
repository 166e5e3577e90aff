"""NumPy's numbers are taken wherever Python's are, and what JSON cannot say is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flexlam_rl.datasets import Episode, Origin, RolloutWriter, TransitionPairs, Windows, load_labels, make_labels
from flexlam_rl.datasets.store import Rollouts, RolloutStore

FRAMES = np.random.default_rng(0).integers(0, 256, (21, 16, 16, 3), dtype=np.uint8)
PARAMS: dict[str, Any] = {
    "temperature": np.float32(0.5),
    "greedy": np.bool_(True),
    "nested": [{"sizes": np.arange(3, dtype=np.uint8), "name": np.str_("x")}, (np.int16(-3), None)],
}
SAME: dict[str, Any] = {"temperature": 0.5, "greedy": True, "nested": [{"sizes": [0, 1, 2], "name": "x"}, [-3, None]]}


def one(**fields: Any) -> Episode:
    return Episode(FRAMES, np.zeros(20, int), np.ones(20), **fields)


def test_numbers_of_numpy_describe_a_store(tmp_path: Path) -> None:
    table = np.zeros((3, 7), np.int8)
    origin = Origin(
        engine="x",
        action_table=table,
        frame_skip=np.uint8(4),
        seed=np.uint64(1),
        policy_params=PARAMS,
        references={"random": np.float64(1)},
    )
    for number in range(2):  # the second continues the first: the same origin again
        options: dict[str, Any] = {
            "chunk": np.int64(4),
            "shard": np.uint16(8),
            "compression": np.int8(3),
            "extra": {"p": (np.float32, [np.int64(2)])},
        }
        with RolloutWriter(tmp_path, np.str_("x"), "train", origin, **options) as writer:
            key = np.int64(number) if number else np.array(0)
            writer.append_episode(
                one(seed=np.uint32(7), key=key, extra={"p": np.zeros((21, 2))}, truncated=np.bool_(True))
            )
            with pytest.raises(ValueError, match="already in"):
                writer.append_episode(one(key=np.uint8(number), extra={"p": np.zeros((21, 2))}))
    store = RolloutStore(writer.path)
    assert store.origin == origin and store.origin.policy_params == SAME and store.origin.frame_skip == 4
    assert store.episode_table["seed"].tolist() == [7, 7] and store.episode_at(np.int8(-1)).key == 1


def test_numbers_of_numpy_ask_for_items_and_labels(tmp_path: Path) -> None:
    with RolloutWriter(tmp_path, "x", "train", Origin(engine="x")) as writer:
        writer.append_episode(one())
    rollouts = Rollouts([RolloutStore(writer.path)])
    make_labels(rollouts, "few", count=np.int64(4), validation=np.float32(0.25), seed=np.uint8(1))
    make_labels(rollouts, "plain", count=4, validation=0.25, seed=1)
    assert load_labels(rollouts, "few").digest == load_labels(rollouts, "plain").digest
    make_labels(rollouts, "part", fraction=np.float64(0.5))
    assert len(Windows(rollouts, np.int64(5))) == 17
    pairs = TransitionPairs(rollouts)
    mine = pairs.batches(
        np.int64(4), seed=np.uint64(3), rank=np.int8(0), world_size=np.int64(1), epochs=np.int32(1), workers=np.int64(1)
    )
    with mine, pairs.batches(4, seed=3, epochs=1) as other:
        assert mine.state_dict() == other.state_dict()
        np.testing.assert_array_equal(
            np.concatenate([b["row"] for b in mine]), np.concatenate([b["row"] for b in other])
        )
    assert pairs[np.uint8(3)]["row"] == 3


@pytest.mark.parametrize(
    "wrong", [float("nan"), np.float32(np.inf), {1: 2}, {2}, 1j, b"x", object(), np.longdouble(1) / 3]
)
def test_what_json_cannot_say_is_refused_where_it_is_given(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"^policy_params of an origin\['a'\]\[0\] [^\n]+$"):
        Origin(engine="x", policy_params={"a": [wrong]})


@pytest.mark.parametrize(
    "fields", [{"seed": 1.5}, {"seed": True}, {"frame_skip": "4"}, {"engine": 3}, {"action_table": [[0.5] * 7]}]
)
def test_fields_of_another_kind_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="of an origin"):
        Origin(**fields)


def test_fractions_are_no_item_numbers(tmp_path: Path) -> None:
    with RolloutWriter(tmp_path, "x", "train", Origin(engine="x")) as writer:
        writer.append_episode(one())
    pairs = TransitionPairs(RolloutStore(writer.path))
    with pytest.raises(ValueError, match=r"1\.5"):
        pairs[1.5]  # type: ignore[index]
    with pytest.raises(ValueError, match=r"1\.5"):
        pairs.read(np.array([0, 1.5]))
    with pytest.raises(ValueError, match=r"2\.5"):
        pairs.batches(2.5)  # type: ignore[arg-type]
