"""Every importer keeps where episodes end and how, their seeds and keys, and the splits; and it never goes on with
other data.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flexlam_rl.cli import main
from flexlam_rl.datasets import Episode, Origin, RolloutWriter, StoreError
from flexlam_rl.datasets.formats.parquet import export_parquet, import_parquet
from flexlam_rl.datasets.formats.teco import import_teco
from flexlam_rl.datasets.pictures import encode_png
from flexlam_rl.datasets.store import RolloutStore

ENDS = ((True, False), (False, True), (False, False), (False, False), (True, True))
TABLE = tuple((turn, 0, 0, 0, 0, 0, 0) for turn in range(5))
ORIGIN = Origin(engine="x", action_table=TABLE)


def write(root: Path, split: str = "train", table: tuple[tuple[int, ...], ...] = TABLE, **changes: Any) -> RolloutStore:
    """Five episodes of all kinds of ends, with seeds, keys that leave some out, and map restarts."""
    with RolloutWriter(root, "rooms_watermaze", split, replace(ORIGIN, action_table=table)) as writer:
        for number, (terminated, truncated) in enumerate(ENDS):
            frames = np.random.default_rng(number).integers(0, 256, (6, 16, 16, 3), np.uint8)
            one = Episode(
                frames, np.arange(5, dtype=np.int16), np.ones(5, np.float32), terminated=terminated, truncated=truncated
            )
            one.restart, one.seed, one.key = np.arange(6) == number, 100 + number, 3 * number
            writer.append_episode(replace(one, **changes))
    return RolloutStore(writer.path)


def back_from(form: str, store: RolloutStore, folder: Path, **options: Any) -> RolloutStore:
    if form == "parquet":
        export_parquet(store, folder / "p", last_frames="row", episodes_per_file=2)
        return import_parquet(
            folder / "p", folder / "s", store.level, store.split, store.origin, alignment="trust", **options
        )
    pytest.importorskip("minari")
    from flexlam_rl.datasets.formats.minari import export_minari, import_minari

    return import_minari(export_minari(store, folder / form, data_format=form), folder / "s")


@pytest.mark.parametrize("form", ["parquet", "hdf5", "arrow"])
@pytest.mark.parametrize("native", [False, True])
def test_ends_seeds_keys_and_restarts_come_back(tmp_path: Path, form: str, native: bool) -> None:
    """Cut episodes stay apart, and native actions that the table does not give are kept."""
    changes = {"action_native": np.arange(35, dtype=np.int16).reshape(5, 7)} if native else {}
    store = write(tmp_path / "data", **changes)
    back = back_from(form, store, tmp_path)
    assert back.digest == store.digest
    for name in store.column_names:
        np.testing.assert_array_equal(back.column(name).read(), store.column(name).read(), err_msg=name)


@pytest.mark.parametrize("form", ["hdf5", "arrow"])
def test_episodes_without_keys_are_imported_once(tmp_path: Path, form: str) -> None:
    store = write(tmp_path / "data", key=-1)
    assert back_from(form, store, tmp_path).episodes == back_from(form, store, tmp_path).episodes == 5


def table(ends: list[int], number: list[int] | None = None, name: str = "episode_id") -> pa.Table:
    found = {
        "observation": [{"bytes": encode_png(np.full((8, 8, 3), i, np.uint8)), "path": None} for i in range(len(ends))],
        "action": pa.array(np.arange(len(ends)) % 5, pa.int32()),
        "reward": pa.array(np.zeros(len(ends)), pa.float32()),
        "terminated": np.array(ends, bool),
        "truncated": np.zeros(len(ends), bool),
    }
    return pa.table(found | ({} if number is None else {name: pa.array(number)}))


def bring(files: Any, folder: Path, **options: Any) -> RolloutStore:
    return import_parquet(
        files, folder / "s", "x", "train", Origin(engine="x"), alignment="trust", **{"restarts": "none", **options}
    )


@pytest.mark.parametrize("name", ["episode_index", "episode_id", "episode"])
def test_numbers_of_episodes_cut_them(tmp_path: Path, name: str) -> None:
    pq.write_table(table([0] * 7, [3, 3, 9, 9, 9, 4, 7], name), tmp_path / "a.parquet")
    store = bring(tmp_path, tmp_path)
    assert store.episode_table["rows"].tolist() == [2, 3, 1, 1] and not store.terminated[:].any()
    (file,) = export_parquet(store, tmp_path / "out")
    assert pq.read_table(file)[name].to_pylist() == [3, 3, 9, 9, 9, 4, 7]


def test_an_episode_in_two_pieces_is_refused(tmp_path: Path) -> None:
    pq.write_table(table([0] * 5, [3, 3, 9, 3, 3]), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"Episode 3 of .* continues after its end"):
        bring(tmp_path, tmp_path)


def test_a_missing_file_of_a_stream_ends_the_episode(tmp_path: Path) -> None:
    for number in (0, 1, 3):
        pq.write_table(table([0] * 4), tmp_path / f"train-0000{number}-of-00004.parquet")
    assert bring(tmp_path, tmp_path).episode_table["rows"].tolist() == [8, 4]


def test_a_shift_that_drops_the_end_leaves_a_cut_episode(tmp_path: Path) -> None:
    pq.write_table(table([0, 0, 0, 1]), tmp_path / "a.parquet")
    assert not bring(tmp_path, tmp_path / "forward", shift=1).terminated[:].any()
    assert bring(tmp_path, tmp_path / "back", shift=-1).terminated[:].tolist() == [False, False, True]


def test_splits_stay_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with files of two splits gives two stores, on the command line and from Python; a list of both is
    refused.
    """
    stores = {split: write(tmp_path / "data", split, seed=index) for index, split in enumerate(("train", "test"))}
    assert (
        main(["data", "export", "parquet", str(tmp_path / "data"), "-o", str(tmp_path / "p"), "--last-frames", "row"])
        == 0
    )
    files = tmp_path / "p" / "rooms_watermaze"
    assert main(["data", "import", "parquet", str(files), "--trust", "-o", str(tmp_path / "back")]) == 0
    for split, store in stores.items():
        assert RolloutStore(tmp_path / "back" / "rooms_watermaze" / f"{split}.zarr").digest == store.digest
        python = import_parquet(files, tmp_path / "python", "rooms_watermaze", split, ORIGIN, alignment="trust")
        assert python.digest == store.digest
    assert (
        main(["data", "import", "parquet", str(files), "--trust", "--split", "test", "-o", str(tmp_path / "one")]) == 0
    )
    assert [path.name for path in (tmp_path / "one" / "rooms_watermaze").iterdir()] == ["test.zarr"]
    with pytest.raises(ValueError, match=r"are of several splits, 'test' .* 'train'"):
        bring(sorted(files.glob("*.parquet")), tmp_path)


def test_the_hubs_names_tell_the_split(tmp_path: Path) -> None:
    for split in ("train", "test"):
        pq.write_table(table([0, 1]), tmp_path / f"{split}-00000-of-00001.parquet")
    assert (
        main(
            [
                "data",
                "import",
                "parquet",
                str(tmp_path),
                "--trust",
                "--level",
                "rooms_watermaze",
                "-o",
                str(tmp_path / "o"),
            ]
        )
        == 0
    )
    assert sorted(path.stem for path in (tmp_path / "o" / "rooms_watermaze").iterdir()) == ["test", "train"]
    assert bring(tmp_path, tmp_path).rows == 2
    pq.write_table(table([0, 1]), tmp_path / "more.parquet")  # of which split?
    assert (
        main(
            [
                "data",
                "import",
                "parquet",
                str(tmp_path),
                "--trust",
                "--level",
                "rooms_watermaze",
                "-o",
                str(tmp_path / "o"),
            ]
        )
        == 2
    )
    with pytest.raises(ValueError, match="no split"):
        bring(tmp_path, tmp_path)


def test_an_import_never_goes_on_with_other_files(tmp_path: Path) -> None:
    for name in ("a", "c"):
        pq.write_table(table([0, 1]), tmp_path / f"{name}.parquet")
        np.savez(tmp_path / f"{name}.npz", video=np.zeros((5, 8, 8, 3), np.uint8), actions=np.zeros(5, np.int64))
    bring(tmp_path, tmp_path)
    import_teco(tmp_path, tmp_path / "t")
    pq.write_table(table([0, 1]), tmp_path / "b.parquet")  # stands between the two
    np.savez(tmp_path / "b.npz", video=np.ones((5, 8, 8, 3), np.uint8), actions=np.zeros(5, np.int64))
    with pytest.raises(StoreError, match=r"File 1 of the import .* was c\.parquet with 2 rows, now it is b\.parquet"):
        bring(tmp_path, tmp_path)
    with pytest.raises(StoreError, match=r"was c\.npz, now it is b\.npz"):
        import_teco(tmp_path, tmp_path / "t")
    (tmp_path / "b.parquet").unlink()
    with pytest.raises(StoreError, match="imported with shift 0, now it is 1"):
        bring(tmp_path, tmp_path, shift=1)
    with RolloutWriter(tmp_path / "s", "y", "train", Origin(engine="x")) as writer:
        writer.append_episode(
            Episode(np.zeros((2, 8, 8, 3), np.uint8), np.zeros(2, np.int16), np.zeros(2, np.float32), key=0)
        )
    with pytest.raises(StoreError, match="was not imported from parquet"):
        import_parquet(tmp_path, tmp_path / "s", "y", "train", Origin(engine="x"), alignment="trust")


def test_an_episode_that_goes_on_in_a_later_file_is_not_dropped(tmp_path: Path) -> None:
    pq.write_table(table([0, 1, 0, 0]), tmp_path / "train-00000-of-00002.parquet")
    assert bring(tmp_path, tmp_path).episodes == 2
    pq.write_table(table([0, 0, 1]), tmp_path / "train-00001-of-00002.parquet")
    with pytest.raises(ValueError, match="Episode 1 has 5 rows in the files but 2 in"):
        bring(tmp_path, tmp_path)


def test_where_the_data_came_from_before_is_kept(tmp_path: Path) -> None:
    store = write(tmp_path / "data")
    export_parquet(store, tmp_path / "p")
    origin = replace(store.origin, source={"format": "teco"})
    back = import_parquet(tmp_path / "p", tmp_path / "s", "x", "train", origin, alignment="trust")
    assert back.origin.source["before"] == {"format": "teco"}
