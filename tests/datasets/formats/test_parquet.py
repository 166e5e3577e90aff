"""Imported data: aligned or refused, and given back exactly."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stamps import ORIGIN

from flexlam_rl.datasets.alignment import LAGS, find_alignment, horizontal_shift
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.formats.parquet import export_parquet, import_parquet
from flexlam_rl.datasets.pictures import decode
from flexlam_rl.datasets.restarts import infer_restarts
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.envs.domains.dmlab.actions import ACTION_SETS
from flexlam_rl.utils.errors import Misaligned

RECORDINGS = os.environ.get("FLEXLAM_DMLAB_RECORDINGS")
needs_recordings = pytest.mark.skipif(
    not RECORDINGS, reason="FLEXLAM_DMLAB_RECORDINGS names no folder of recordings of the real DMLab"
)
FILES = sorted(Path(RECORDINGS, "rollouts").glob("*.parquet")) if RECORDINGS else []
DREAMER = ACTION_SETS["dreamer15"]
REAL = replace(
    ORIGIN,
    engine="deepmind_lab",
    action_set=DREAMER.name,
    action_table=tuple(map(tuple, DREAMER.table.tolist())),
    action_hash=DREAMER.hash,
)
Make = Callable[..., tuple[RolloutStore, list[Episode]]]


def pictures(table: pa.Table) -> np.ndarray:
    """Decoded frames of a parquet table."""
    return np.stack([decode(row["bytes"]) for row in table["observation"].to_pylist()])


def same_tables(one: pa.Table, other: pa.Table) -> None:
    """Assert that two tables have equal columns, types, metadata and pictures."""
    assert one.schema.equals(other.schema, check_metadata=True)
    assert one.drop(["observation"]).equals(other.drop(["observation"]))
    np.testing.assert_array_equal(pictures(one), pictures(other))


def shifted(table: pa.Table, rows: int) -> pa.Table:
    """The table with its actions moved down by some rows."""
    action = np.roll(table["action"].to_numpy(), rows)
    return table.set_column(table.schema.get_field_index("action"), "action", pa.array(action, pa.int32()))


@needs_recordings
@pytest.mark.parametrize("file", FILES[3::8], ids=lambda path: path.stem)
def test_recordings_survive_the_round_trip(file: Path, tmp_path: Path) -> None:
    level = file.stem.rsplit("-", 1)[0]
    store = import_parquet(file, tmp_path / "store", level, "train", REAL)
    (back,) = export_parquet(store, tmp_path / "out")
    assert back.name == file.name
    one = pq.read_table(file)
    same_tables(one, pq.read_table(back))
    np.testing.assert_array_equal(store.restart[:], np.append(False, np.diff(one["map_frame_number"].to_numpy()) < 0))
    assert store.segments.count(2) == len(one) - 1 - store.restart[:].sum()


@needs_recordings
@pytest.mark.parametrize("file", FILES[5::20], ids=lambda path: path.stem)
def test_recordings_survive_minari_and_back(file: Path, tmp_path: Path) -> None:
    pytest.importorskip("minari")
    from flexlam_rl.datasets.formats.minari import export_minari, import_minari

    store = import_parquet(file, tmp_path / "store", file.stem.rsplit("-", 1)[0], "train", REAL)
    back = import_minari(export_minari(store, tmp_path / "minari" / "data"), tmp_path / "back")
    assert (back.digest, back.origin) == (store.digest, store.origin)
    for name in store.column_names:
        np.testing.assert_array_equal(back.column(name).read(), store.column(name).read(), err_msg=name)
    np.testing.assert_array_equal(back.frames[:], store.frames[:])


@needs_recordings
@pytest.mark.parametrize("file", FILES[1::3], ids=lambda path: path.stem)
def test_the_alignment_of_recordings_is_found_and_shifts_are_seen(file: Path) -> None:
    table = pq.read_table(file)
    frames, action = pictures(table), table["action"].to_numpy()
    usable = np.append(np.diff(table["map_frame_number"].to_numpy()) >= 0, False)
    for lag in (0, 1, -1):
        assert find_alignment(frames, DREAMER.table[np.roll(action, lag), 0], usable).lag == lag


@needs_recordings
@pytest.mark.parametrize("rows", [-1, 1])
def test_shifted_recordings_are_refused_and_can_be_moved_back(rows: int, tmp_path: Path) -> None:
    table = pq.read_table(FILES[3])
    file = tmp_path / "shifted.parquet"
    pq.write_table(shifted(table, rows), file)
    with pytest.raises(Misaligned, match=f"is in row t\\{rows:+d}, expected row t; import with shift={rows}"):
        import_parquet(file, tmp_path / "store", "a", "train", REAL)
    store = import_parquet(file, tmp_path / "store", "a", "train", REAL, shift=rows)
    keep = slice(1, None) if rows < 0 else slice(None, -1)
    np.testing.assert_array_equal(store.action[:], table["action"].to_numpy()[keep])
    np.testing.assert_array_equal(store.frames[:], pictures(table)[keep])


@needs_recordings
def test_data_that_cannot_tell_its_alignment_is_refused(tmp_path: Path) -> None:
    table = pq.read_table(FILES[0]).slice(0, 20)
    file = tmp_path / "short.parquet"
    pq.write_table(table, file)
    with pytest.raises(Misaligned, match="cannot be told from 20 frames"):
        import_parquet(file, tmp_path / "store", "a", "train", REAL)
    assert import_parquet(file, tmp_path / "store", "a", "train", REAL, alignment="trust").rows == 20


@needs_recordings
@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_inferred_restarts_miss_none_of_the_recorded_ones(file: Path) -> None:
    table = pq.read_table(file, columns=["reward", "map_frame_number"])
    true = np.append(False, np.diff(table["map_frame_number"].to_numpy()) < 0)
    found = infer_restarts(file.stem, table["reward"].to_numpy(), len(true))
    assert not (true & ~found).any()
    assert found.sum() <= 2 * true.sum() + 8


@needs_recordings
def test_a_stream_of_files_is_cut_at_its_episode_ends(tmp_path: Path) -> None:
    table = (
        pq.read_table(FILES[0])
        .slice(0, 300)
        .drop(["map_frame_number", "position", "rotation", "frames_remaining", "instruction"])
    )
    ends = np.zeros(300, bool)
    ends[[99, 249]] = True
    table = table.set_column(table.schema.get_field_index("terminated"), "terminated", pa.array(ends))
    for i, (start, stop) in enumerate(((0, 150), (150, 160), (160, 300))):
        pq.write_table(table.slice(start, stop - start), tmp_path / f"train-0000{i}-of-00003.parquet")
    store = import_parquet(
        tmp_path, tmp_path / "store", FILES[0].stem.rsplit("-", 1)[0], "train", REAL, alignment="trust"
    )
    assert store.episode_table["rows"].tolist() == [100, 150, 50]
    assert store.terminated[:].nonzero()[0].tolist() == [99, 249]
    assert store.origin.source["restarts"] == "inferred from rewards"
    out = export_parquet(store, tmp_path / "out")
    assert [pq.read_metadata(file).num_rows for file in out] == [150, 10, 140]
    same_tables(pa.concat_tables(pq.read_table(file) for file in out), table)
    # an import that is run again continues, and finds nothing left to do
    assert (
        import_parquet(tmp_path, tmp_path / "store", store.level, "train", REAL, alignment="trust").digest
        == store.digest
    )


def test_other_stores_are_written_as_the_hub_writes_them(make_store: Make, tmp_path: Path) -> None:
    store, episodes = make_store()
    files = export_parquet(store, tmp_path / "out", episodes_per_file=10)
    assert [file.name for file in files] == [f"train-0000{i}-of-00003.parquet" for i in range(3)]
    table = pa.concat_tables(pq.read_table(file) for file in files)
    np.testing.assert_array_equal(table["action"], np.concatenate([e.action for e in episodes]))
    np.testing.assert_array_equal(pictures(table), np.concatenate([e.frames[: e.length] for e in episodes]))
    assert b'"observation": {"_type": "Image"}' in table.schema.metadata[b"huggingface"]


def test_last_frames_are_kept_when_asked(make_store: Make, tmp_path: Path) -> None:
    store, episodes = make_store(episodes=None)
    export_parquet(store, tmp_path / "out", last_frames="row", episodes_per_file=1)
    back = import_parquet(
        tmp_path / "out",
        tmp_path / "again",
        "alpha",
        "train",
        ORIGIN,
        alignment="trust",
        restarts="none",
        one_stream=False,
    )
    assert back.episodes == len(episodes)
    for i, one in enumerate(episodes):
        two = back.episode_at(i)
        assert two.has_last == one.has_last
        np.testing.assert_array_equal(two.frames, one.frames)
        np.testing.assert_array_equal(two.action, one.action)
        np.testing.assert_array_equal(two.reward, one.reward)


@needs_recordings
def test_an_import_that_grew_gives_all_its_files_back(tmp_path: Path) -> None:
    level = FILES[0].stem.rsplit("-", 1)[0]
    import_parquet(FILES[:1], tmp_path / "store", level, "train", REAL, alignment="trust")
    store = import_parquet(FILES[:2], tmp_path / "store", level, "train", REAL, alignment="trust")
    assert store.episodes == 2
    for one, other in zip(FILES[:2], export_parquet(store, tmp_path / "out"), strict=True):
        assert one.name == other.name
        same_tables(pq.read_table(one), pq.read_table(other))


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"action": [1]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="no column 'observation'"):
        import_parquet(tmp_path / "a.parquet", tmp_path / "s", "a", "train", ORIGIN)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match="No parquet files"):
        import_parquet(tmp_path / "nothing", tmp_path / "s", "a", "train", ORIGIN)


def test_shifts_of_a_moving_picture_are_measured() -> None:
    wide = np.random.default_rng(0).integers(0, 255, (32, 400, 3), np.uint8)
    moves = np.random.default_rng(1).integers(-20, 21, 60)
    places = 200 + np.cumsum(moves) - np.cumsum(moves).min() // 2
    frames = np.stack([wide[:, p : p + 64] for p in np.clip([100, *places], 0, 330)])
    true = np.diff(np.clip([100, *places], 0, 330))
    inside = np.abs(true) <= 24
    np.testing.assert_array_equal(horizontal_shift(frames)[inside], true[inside])


@pytest.mark.parametrize("lag", LAGS)
def test_any_lag_is_recovered_from_a_synthetic_turning_view(lag: int) -> None:
    random = np.random.default_rng(2)
    wide = np.tile(random.integers(0, 255, (32, 360, 3), np.uint8), (1, 3, 1))
    yaw = random.choice([-60, -10, 0, 10, 60], 400)
    places = 360 + np.append(0, np.cumsum(yaw * 18 // 60))[:-1] % 360
    frames = np.stack([wide[:, p : p + 64] for p in places])
    assert find_alignment(frames, np.roll(yaw, lag)).lag == lag
    assert find_alignment(frames[:20], yaw[:20]).lag is None
    assert find_alignment(np.repeat(frames[:1], 400, 0), yaw).lag is None


def test_restart_rules_count_what_ends_a_map() -> None:
    reward = np.zeros(60)
    reward[[5, 20]] = 10
    assert infer_restarts("explore_goal_locations_small", reward, 61).nonzero()[0].tolist() == [6, 7, 21, 22]
    assert not infer_restarts("lasertag_one_opponent_small", reward, 61).any()
    apples = np.zeros(60)
    apples[[1, 2, 3, 4, 5]], apples[30] = 1, 3  # eight apples, three of them in one step
    assert infer_restarts("explore_object_locations_small", apples, 61).nonzero()[0].tolist() == [31, 32]
    assert not infer_restarts("explore_object_locations_large", apples, 61).any()
    words = np.zeros(60)
    words[[9, 58]] = -5, 10
    assert infer_restarts("language_execute_random_task", words, 60).nonzero()[0].tolist() == [10, 11, 59]
    mixed = np.zeros(60)
    mixed[[3, 8, 12]] = 2, -1, 1  # the last: a good and a bad one in one step
    assert infer_restarts("explore_object_rewards_few", mixed, 61).nonzero()[0].tolist() == [13, 14]
