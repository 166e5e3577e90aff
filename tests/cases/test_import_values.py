"""No importer casts, clips or drops a value: it is stored as it is, or refused in a sentence that names it."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flexlam_rl.datasets import Origin, StoreError
from flexlam_rl.datasets.formats.parquet import export_parquet, import_parquet
from flexlam_rl.datasets.formats.teco import import_teco
from flexlam_rl.datasets.pictures import encode_png
from flexlam_rl.datasets.store import RolloutStore

N = 6
PICTURE = encode_png(np.zeros((16, 16, 3), np.uint8))


def columns(**changes: Any) -> pa.Table:
    """A table in the hub's layout with some of its columns replaced."""
    table = {
        "observation": [{"bytes": PICTURE, "path": None}] * N,
        "action": pa.array(range(N), pa.int32()),
        "reward": pa.array(np.zeros(N), pa.float32()),
        "terminated": np.zeros(N, bool),
        "truncated": np.arange(N) == N - 1,
        **changes,
    }
    return pa.table({name: column for name, column in table.items() if column is not None})


def bring(table: pa.Table, folder: Path, **options: Any) -> RolloutStore:
    pq.write_table(table, folder / "a.parquet")
    return import_parquet(
        folder / "a.parquet",
        folder / "s",
        "x",
        "train",
        Origin(engine="x"),
        alignment="trust",
        restarts="none",
        **options,
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"action": pa.array([0, 1, None, 3, 4, 5], pa.int32())}, "1 nulls, the first in row 2"),
        ({"action": pa.array([0, 1, 1.5, 3, 4, 5])}, "Action of .* 1.5 at 2"),
        ({"action": pa.array([0, 1, float("nan"), 3, 4, 5])}, "nan at 2"),
        ({"action": pa.array([0, 1, 70_000, 3, 4, 5])}, "70000 at 2"),
        ({"action": pa.array([0, 1, 65_535, 3, 4, 5], pa.uint16())}, "65535 at 2"),
        ({"action": pa.array([0, 1, 2**64 - 1, 3, 4, 5], pa.uint64())}, "18446744073709551615 at 2"),
        ({"action": pa.array([0, 1, -2, 3, 4, 5])}, "Action -2"),
        ({"action": pa.array(["0"] * N)}, "'action' .* has the type string"),
        ({"action": pa.array([[0]] * N)}, "'action' .* has the type list"),
        ({"reward": pa.array([0, None, 0, 0, 0, 0], pa.float32())}, "'reward' .* 1 nulls"),
        ({"reward": pa.array([0, float("nan"), 0, 0, 0, 0], pa.float32())}, "Reward of .* nan at 1"),
        ({"reward": pa.array([0, float("inf"), 0, 0, 0, 0])}, "Reward of .* inf at 1"),
        ({"reward": pa.array([0, 2**53 + 1, 0, 0, 0, 0])}, "9007199254740993 at 1"),
        ({"terminated": pa.array([0, 2, 0, 0, 0, 0])}, "terminated of .* is 2 at 1"),
        ({"terminated": pa.array([None, *[False] * 5], pa.bool_())}, "'terminated' .* 1 nulls"),
        ({"terminated": pa.array(["False"] * N)}, "'terminated' .* has the type string"),
        ({"health": pa.array([1, None, 3, 4, 5, 6], pa.int32())}, "'health' .* 1 nulls, the first in row 1"),
        ({"health": pa.array([1.0, None, 3, 4, 5, 6])}, "'health' .* 1 nulls"),
        (
            {"place": pa.array([[1, 2], [3], [4, 5, 6], [1, 2], [1, 2], [1, 2]])},
            "lists of 2 numbers and, in row 1, of 1",
        ),
        ({"place": pa.array([[1, 2], None, [4, 5, 6], [1], [1, 2], [1, 2]])}, "'place' .* 1 nulls"),
        ({"place": pa.array([[1, 2], [1, None], *[[1, 2]] * 4])}, "1 nulls in its lists"),
        ({"place": pa.array([[[1]]] * N)}, "'place' .* has the type list"),
        ({"instruction": pa.array(["a", None, *["a"] * 4])}, "'instruction' .* null in row 1"),
        ({"instruction": pa.array([1] * N)}, "'instruction' .* expected text"),
        ({"observation": pa.array([{"bytes": PICTURE, "path": None}] * 5 + [None])}, "no picture"),
        ({"a/../../b": pa.array(range(N))}, "expected a name of letters"),
        ({"truncated": None}, "no column 'truncated'"),
    ],
)
def test_parquet_columns_that_a_store_cannot_hold_are_refused(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        bring(columns(**changes), tmp_path)
    assert not (tmp_path / "s" / "x" / "train.zarr" / "zarr.json").exists()


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("action", pa.array(range(N), pa.uint64())),
        ("action", pa.array([float(i) for i in range(N)])),
        ("reward", pa.array(np.array([0.5, -1, 2, 65504, 0, 0], np.float16))),
        ("reward", pa.array([0.5, -1, 2, 3, 0, 2**24], pa.float64())),
        ("reward", pa.array([True, False] * 3)),
        ("reward", pa.array([0, 0.1, 1e39, 2**24 + 1, 0, 0])),
        ("terminated", pa.array([0, 0, 0, 0, 0, 1], pa.uint8())),
        ("truncated", pa.array([0.0, 0, 0, 0, 0, 1])),
        ("a count", pa.array([2**64 - 1, 0, 1, 2, 3, 4], pa.uint64())),
        ("half", pa.array(np.array([0.1, np.nan, np.inf, 3, 0, 0], np.float16))),
        ("exact", pa.array([0.1, 2.0**60, 0, 0, 0, 0], pa.float64())),
        ("flag", pa.array([True, False] * 3)),
        ("place", pa.array([[1.5, 2, 3]] * N, pa.list_(pa.float64(), 3))),
        ("place", pa.array([[True, False]] * N, pa.large_list(pa.bool_()))),
    ],
)
def test_parquet_columns_of_any_number_come_back_with_their_type(tmp_path: Path, name: str, column: pa.Array) -> None:
    table = columns(**{name: column})
    (file,) = export_parquet(bring(table, tmp_path), tmp_path / "out")
    back = pq.read_table(file)
    assert back.schema.equals(table.schema)
    assert repr(back[name].to_pylist()) == repr(table[name].to_pylist())  # NaN differs from itself
    assert back.drop(["observation", name]).equals(table.drop(["observation", name]))


def test_actions_outside_the_table_are_named(tmp_path: Path) -> None:
    pq.write_table(columns(), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"Action 5 of .*a\.parquet is not in its action set: it has actions 0 to 4"):
        import_parquet(
            tmp_path / "a.parquet", tmp_path / "s", "x", "train", Origin(engine="x", action_table=((0,) * 7,) * 5)
        )


@pytest.mark.parametrize(
    "actions",
    [np.full(5, 1.7), np.full(5, 70_000), np.full(5, np.nan), np.full(5, -1), np.full(5, 2**64 - 1, np.uint64)],
)
def test_teco_actions_are_whole_numbers(tmp_path: Path, actions: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", video=np.zeros((5, 8, 8, 3), np.uint8), actions=actions)
    with pytest.raises(ValueError, match=r"Action.* of .*a\.npz"):
        import_teco(tmp_path, tmp_path / "s")


def dataset(folder: Path, space: gym.Space[Any], **changes: Any) -> Any:
    """A Minari dataset of somebody else, two episodes."""
    pytest.importorskip("minari")
    from minari.data_collector.episode_buffer import EpisodeBuffer
    from minari.dataset.minari_dataset import MinariDataset
    from minari.dataset.minari_storage import MinariStorage

    folder.mkdir(parents=True)
    storage = MinariStorage.new(folder, gym.spaces.Box(0, 255, (8, 8, 3), np.uint8), space)
    storage.update_metadata({"dataset_id": "a/b-v0", "minari_version": __import__("minari").__version__})
    ends = np.arange(5) == 4
    for number in range(2):
        fields: dict[str, Any] = {
            "observations": np.full((6, 8, 8, 3), number, np.uint8),
            "actions": np.arange(5),
            "rewards": np.arange(5, dtype=np.float64),
            "terminations": ends & (number == 0),
            "truncations": ends & (number == 1),
            "infos": None,
        }
        storage.update_episodes([EpisodeBuffer(id=number, seed=70 + number, **{**fields, **changes})])
    return MinariDataset(folder)


@pytest.mark.parametrize(
    ("space", "changes", "error", "words"),
    [
        (
            gym.spaces.Box(-1, 1, (7,), np.float32),
            {"actions": np.full((5, 7), 1.5, np.float32)},
            ValueError,
            "is 1.5 in dimension 0 at 0: expected -1 to 1",
        ),
        (gym.spaces.Discrete(70_001), {"actions": np.full(5, 70_000)}, StoreError, "70,001 choices"),
        (gym.spaces.Discrete(5, start=-2), {"actions": np.full(5, 3)}, ValueError, "is 3 at 0: expected -2 to 2"),
        (gym.spaces.Discrete(5), {"rewards": np.full(5, np.nan)}, ValueError, "Reward of .* nan at 0"),
        (gym.spaces.Discrete(5), {"terminations": np.ones(5, bool)}, ValueError, "terminations .* at step 0 of 5"),
        (gym.spaces.Discrete(5), {"truncations": np.full(5, 0.5)}, ValueError, "truncations .* 0.5"),
    ],
)
def test_minari_values_that_a_store_cannot_hold_are_refused(
    tmp_path: Path, space: gym.Space[Any], changes: dict[str, Any], error: type[Exception], words: str
) -> None:
    from flexlam_rl.datasets.formats.minari import import_minari

    with pytest.raises(error, match=words):
        import_minari(dataset(tmp_path / "d", space, **changes), tmp_path / "s", "x")


def test_minari_keeps_ends_seeds_restarts_actions_and_episode_numbers(tmp_path: Path) -> None:
    infos = {
        "map_reset": np.arange(6) == 3,
        "health": np.arange(6),
        "key": np.zeros(6, int),
        "instruction": np.ones(6, int),
    }
    found = dataset(tmp_path / "d", gym.spaces.Discrete(5), infos=infos)
    from flexlam_rl.datasets.formats.minari import import_minari

    with pytest.warns(UserWarning, match="health, instruction, key"):
        import_minari(found.filter_episodes(lambda one: one.id == 1), tmp_path / "s", "x")
    with pytest.warns(UserWarning):
        store = import_minari(found, tmp_path / "s", "x")  # goes on with the episode that was left out
    assert store.episode_table["key"].tolist() == [1, 0] and store.episode_table["seed"].tolist() == [71, 70]
    second, first = store.iter_episodes()
    assert (first.terminated, first.truncated, second.terminated, second.truncated) == (True, False, False, True)
    assert first.restart is not None and first.restart.tolist() == [False] * 3 + [True] + [False] * 2
    assert store.origin.action_set == "Discrete(5)"


def test_minari_rewards_of_float64_keep_their_value(tmp_path: Path) -> None:
    from flexlam_rl.datasets.formats.minari import import_minari

    store = import_minari(dataset(tmp_path / "d", gym.spaces.Discrete(5), rewards=np.full(5, 0.1)), tmp_path / "s", "x")
    assert store.reward[:].tolist() == [*[0.1] * 5, 0] * 2
