"""The store gives back exactly what was written, to this reader, TensorStore and zarr alike."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stamps import ORIGIN, episode, stamp, valid_starts

from flexlam_rl.datasets.columns import Column
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.datasets.segments import Items, Segments
from flexlam_rl.datasets.store import Rollouts, RolloutStore, open_rollouts
from flexlam_rl.datasets.writer import RolloutWriter
from flexlam_rl.utils.errors import StoreError, StoreLocked

Make = Callable[..., tuple[RolloutStore, list[Episode]]]


def same(one: Episode, other: Episode) -> None:
    """Assert that two episodes are equal in every field."""
    for name in ("frames", "action", "action_native", "reward", "restart"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    texts = [[e.instruction] * e.rows if isinstance(e.instruction, str) else list(e.instruction) for e in (one, other)]
    assert texts[0] == texts[1]
    for name in ("terminated", "truncated", "seed", "key"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.extra.keys() == other.extra.keys()
    for name in one.extra:
        np.testing.assert_array_equal(one.extra[name], other.extra[name], err_msg=name)


def test_every_field_of_every_episode_comes_back(make_store: Make) -> None:
    store, episodes = make_store()
    assert store.episodes == len(episodes)
    assert store.rows == sum(e.rows for e in episodes)
    assert store.steps == sum(e.length for e in episodes)
    for number, one in enumerate(episodes):
        same(store.episode_at(number), one)
    same(store.episode_at(-1), episodes[-1])
    np.testing.assert_array_equal(store.episode_table["return"], [e.reward.sum() for e in episodes])


def test_rows_without_an_action_are_marked(make_store: Make) -> None:
    store, episodes = make_store()
    action, number = store.action[:], store.episode[:]
    for i, one in enumerate(episodes):
        np.testing.assert_array_equal(action[number == i], np.append(one.action, [-1] * one.has_last))


@pytest.mark.parametrize("codec", ["zstd", "lz4hc", "none"])
def test_other_libraries_read_the_same_frames(make_store: Make, codec: str) -> None:
    import tensorstore
    import zarr

    store, episodes = make_store(codec=codec)
    frames = np.concatenate([e.frames for e in episodes])
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{store.path}/frames/"}}
    np.testing.assert_array_equal(store.frames[:], frames)
    np.testing.assert_array_equal(tensorstore.open(spec, open=True).result().read().result(), frames)
    group = zarr.open_group(store.path, mode="r")
    np.testing.assert_array_equal(group["frames"][:], frames)
    np.testing.assert_array_equal(group["reward"][:], store.reward[:])
    assert group.attrs["commit"]["rows"] == len(frames)


def test_frames_index_like_numpy(make_store: Make) -> None:
    store, episodes = make_store()
    frames = np.concatenate([e.frames for e in episodes])
    rows = np.random.default_rng(0).integers(-len(frames), len(frames), (5, 7))
    for key in (0, -1, slice(3, 70), slice(None, None, 5), slice(10, 2), rows, np.arange(len(frames)) % 3 == 0):
        np.testing.assert_array_equal(store.frames[key], frames[key])
    with pytest.raises(IndexError, match="it has frames 0 to"):
        store.frames[len(frames)]
    with pytest.raises(IndexError, match="row numbers"):
        store.frames[1.5]


def test_columns_read_in_parts_and_whole(make_store: Make, tmp_path: Path) -> None:
    store, _ = make_store()
    column = Column(store.path / "reward", store.rows)
    part = column[10:90]
    np.testing.assert_array_equal(part, store.reward.whole()[10:90])
    np.testing.assert_array_equal(np.asarray(column), store.reward[:])
    assert not store.reward.whole().flags.writeable


def test_a_store_is_continued_where_it_was_left(make_store: Make) -> None:
    store, episodes = make_store()
    with RolloutWriter(store.path.parents[1], "alpha", "train", ORIGIN) as writer:
        assert writer.keys == set(range(len(episodes)))
        writer.append_episode(episode(0, len(episodes), 100))
    again = RolloutStore(store.path)
    assert again.episodes == len(episodes) + 1
    np.testing.assert_array_equal(again.frames[: store.rows], store.frames[:])
    assert again.frames.chunk == 4  # the layout of the store, not of the second writer
    assert len(again.attributes["writers"]) == 2
    assert store.frames[store.rows - 1].shape == store.frames.row  # a reader from before still reads


def test_equal_data_have_equal_digests_and_any_change_another(tmp_path: Path) -> None:
    def digest(folder: str, *episodes: Episode, each: bool = False) -> str:
        with RolloutWriter(tmp_path / folder, "a", "train", ORIGIN) as writer:
            if each:
                for one in episodes:
                    writer.append_episode(one)
            else:
                writer.append_episodes(episodes)
        return RolloutStore(writer.path).digest

    one, two = episode(0, 0, 20), episode(0, 1, 30)
    first = digest("a", one, two)
    assert digest("b", one, two, each=True) == first
    reward = one.reward.copy()
    reward[3] += 1
    action = one.action.copy()
    action[[3, 4]] = action[[4, 3]]
    frames = one.frames.copy()
    frames[5, 0, 0, 0] ^= 1
    assert (
        len(
            {
                first,
                *(
                    digest(n, replace(one, **c), two)
                    for n, c in (("c", {"reward": reward}), ("d", {"action": action}), ("e", {"frames": frames}))
                ),
            }
        )
        == 4
    )


def test_video_without_actions(make_store: Make) -> None:
    store, episodes = make_store(with_actions=False)
    assert store.steps == sum(e.rows - 1 for e in episodes)
    assert not hasattr(store, "action")
    assert not (store.path / "action").exists() and not (store.path / "reward").exists()
    assert store.episode_at(0).action is None
    np.testing.assert_array_equal(store.frames[:], np.concatenate([e.frames for e in episodes]))


def test_extra_columns(tmp_path: Path) -> None:
    position = np.random.default_rng(0).random((31, 3), np.float32)
    one = replace(episode(0, 0, 30), extra={"position": position})
    with RolloutWriter(tmp_path, "a", "train", ORIGIN, extra={"position": ("float32", (3,))}) as writer:
        writer.append_episode(one)
        with pytest.raises(ValueError, match="extra columns"):
            writer.append_episode(episode(0, 1, 5))
    same(RolloutStore(writer.path).episode_at(0), one)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"engine": "deepmind_lab"}, "engine 'synthetic'"),
        ({"action_hash": "d" * 64}, "action_hash"),
        ({"policy": "random"}, "policy 'counter', but the writer has 'random'"),
        ({"frame_skip": 1}, "frame_skip 4"),
    ],
)
def test_data_of_another_origin_is_refused(make_store: Make, change: dict[str, object], sentence: str) -> None:
    store, _ = make_store()
    with pytest.raises(StoreError, match=sentence):
        RolloutWriter(store.path.parents[1], "alpha", "train", replace(ORIGIN, **change))
    RolloutWriter(store.path.parents[1], "alpha", "train", ORIGIN).close()  # the refused writer let go of the lock


def test_bad_episodes_are_refused_and_store_nothing(make_store: Make) -> None:
    store, episodes = make_store()
    good = episode(0, 1000, 10)
    with RolloutWriter(store.path.parents[1], "alpha", "train", ORIGIN) as writer:
        for bad, sentence in (
            (replace(good, frames=good.frames[:, :4]), r"Frames of shape \(4, 8, 3\)"),
            (replace(good, frames=good.frames.astype(np.float32)), "float32"),
            (replace(good, frames=good.frames[:5]), "10 actions has 5 frames"),
            (replace(good, reward=good.reward[:5]), r"reward of an episode has shape \(5,\)"),
            (replace(good, instruction=["a"]), "1 instructions"),
            (replace(good, action=None, action_native=None), "only one of actions and rewards"),
            (replace(good, key=3), "Episode 3 is already in"),
        ):
            with pytest.raises(ValueError, match=sentence):
                writer.append_episodes([good, bad])
        assert writer.episodes == len(episodes)
        writer.append_episode(good)
    assert RolloutStore(store.path).episodes == len(episodes) + 1


def test_actions_are_checked_against_the_table(tmp_path: Path) -> None:
    table = ((0, 0, 0, 1, 0, 0, 0), (-60, 0, 0, 0, 0, 0, 0))
    origin = replace(ORIGIN, action_set="two", action_table=table)
    one = replace(episode(0, 0, 4), action=np.array([0, 1, 1, 0]), action_native=None)
    with RolloutWriter(tmp_path, "a", "train", origin) as writer:
        writer.append_episode(one)
        with pytest.raises(ValueError, match="Action 2 is not in the action set 'two': it has actions 0 to 1"):
            writer.append_episode(replace(one, action=np.array([0, 2, 1, 0]), key=1))
    np.testing.assert_array_equal(RolloutStore(writer.path).action_native[:4], np.array(table)[[0, 1, 1, 0]])


def test_a_second_writer_is_refused(make_store: Make) -> None:
    store, _ = make_store()
    with RolloutWriter(store.path.parents[1], "alpha", "train", ORIGIN) as writer:
        with pytest.raises(StoreLocked, match="already has a writer in this process"):
            RolloutWriter(store.path.parents[1], "alpha", "train", ORIGIN)
        code = (
            "import sys; sys.path[:0] = sys.argv[1:3]\n"
            "from stamps import ORIGIN; from flexlam_rl.datasets.writer import RolloutWriter\n"
            "RolloutWriter(sys.argv[3], 'alpha', 'train', ORIGIN)"
        )
        root = Path(__file__).parents[2]
        ran = subprocess.run(
            [sys.executable, "-c", code, str(root), str(root / "tests/datasets"), str(store.path.parents[1])],
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 1
        assert f"StoreLocked: {store.path} is being written by process " in ran.stderr
        writer.append_episode(episode(0, 500, 3))  # the attempt did not take the lock away
    RolloutWriter(store.path.parents[1], "alpha", "train", ORIGIN).close()


def test_collections_in_one_folder_are_read_together(tmp_path: Path) -> None:
    for collection, length in (("first", 3), ("second", 5)):
        with RolloutWriter(tmp_path / collection, "alpha", "train", ORIGIN) as writer:
            writer.append_episode(episode(0, 500, length))
    assert open_rollouts(tmp_path).steps == 8
    assert [store.path.parents[1].name for store in open_rollouts(tmp_path, ["alpha"]).stores] == ["first", "second"]


def test_what_is_no_store_is_named(tmp_path: Path, make_store: Make) -> None:
    with pytest.raises(StoreError, match="no rollout store"):
        RolloutStore.open(tmp_path)
    with pytest.raises(StoreError, match="holds no rollouts of split 'train'"):
        open_rollouts(tmp_path)
    store, _ = make_store()
    with pytest.raises(StoreError, match="no rollouts of delta"):
        open_rollouts(store.path.parents[1], ["delta"])
    file = store.path / "zarr.json"
    content = json.loads(file.read_text())
    content["attributes"]["version"] = 99
    file.write_text(json.dumps(content))
    with pytest.raises(StoreError, match=r"version 99: expected 'flexlam_rl\.rollouts' version 1"):
        RolloutStore(store.path)
    file.write_text("{")
    with pytest.raises(StoreError, match=r"zarr\.json is damaged"):
        RolloutStore(store.path)


def test_stores_of_other_engines_are_not_read_together(make_store: Make, tmp_path: Path) -> None:
    store, _ = make_store()
    with RolloutWriter(tmp_path / "other", "beta", "train", replace(ORIGIN, engine="deepmind_lab")) as writer:
        writer.append_episode(episode(1, 0, 3))
    with pytest.raises(StoreError, match="the engine 'synthetic'"):
        Rollouts([store, RolloutStore(writer.path)])


def test_origin_survives_json() -> None:
    origin = replace(
        ORIGIN, action_table=((1, 2, 3, 4, 5, 6, 7),), references={"random": 1.5}, policy_params={"temperature": 0.5}
    )
    assert Origin.from_attributes(json.loads(json.dumps(origin.attributes()))) == origin


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 12), st.sets(st.integers(1, 11)), st.booleans()), min_size=1, max_size=8),
    st.integers(1, 6),
)
def test_segments_and_items_match_the_slow_definition(shape: list[tuple[int, set[int], bool]], span: int) -> None:
    episodes = [
        episode(0, i, length, tuple(r for r in restarts if r < length + last), last)
        for i, (length, restarts, last) in enumerate(shape)
    ]
    rows = np.array([e.rows for e in episodes])
    starts = np.cumsum(rows) - rows
    restart = np.flatnonzero(np.concatenate([e.restart for e in episodes]))
    segments = Segments.find(starts, rows, restart)
    expected = sorted(starts[e] + row for e, row in valid_starts(episodes, span))
    items = Items(segments, span)
    found = items.rows(np.arange(len(items)))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(items.numbers(found), np.arange(len(items)))
    assert segments.count(span) == len(items)
    every = np.arange(rows.sum())
    np.testing.assert_array_equal(segments.contains(every, span), np.isin(every, expected))


def test_stamps_are_read_back() -> None:
    from stamps import read_stamps

    np.testing.assert_array_equal(read_stamps(stamp(2, 3, 4, np.arange(5))), [[2, 3, 4, row] for row in range(5)])
