"""An export takes no file that is not its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from flexlam_rl.cli import main
from flexlam_rl.datasets import Episode, Origin, RolloutWriter, StoreError
from flexlam_rl.datasets.formats.mp4 import export_mp4
from flexlam_rl.datasets.formats.parquet import export_parquet, import_parquet
from flexlam_rl.datasets.store import RolloutStore

Export = Callable[..., list[Path]]


def write(root: Path, keys: range, value: int = 0, level: str = "x") -> RolloutStore:
    with RolloutWriter(root, level, "train", Origin(engine="x")) as writer:
        for key in keys:
            frames = np.full((3, 16, 16, 3), value + key, np.uint8)
            writer.append_episode(
                Episode(frames, np.zeros(2, np.int16), np.zeros(2, np.float32), truncated=True, key=key)
            )
    return RolloutStore(writer.path)


def parquet(store: RolloutStore, folder: Path, **options: Any) -> list[Path]:
    return export_parquet(store, folder, episodes_per_file=1, **options)


@pytest.mark.parametrize("export", [parquet, export_mp4])
def test_files_of_others_stay(tmp_path: Path, export: Export) -> None:
    name = export(write(tmp_path / "data", range(2)), tmp_path / "first")[0].name
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(StoreError, match="exists and is not from an export"):
        export(RolloutStore(tmp_path / "data/x/train.zarr"), tmp_path / "out")
    assert (tmp_path / "out" / name).read_text() == "mine"


@pytest.mark.parametrize("export", [parquet, export_mp4])
def test_an_export_of_other_rollouts_stays(tmp_path: Path, export: Export) -> None:
    before = {file: file.read_bytes() for file in export(write(tmp_path / "a", range(2)), tmp_path / "out")}
    with pytest.raises(StoreError, match="holds an export of other rollouts"):
        export(write(tmp_path / "b", range(2), 9), tmp_path / "out")
    assert {file: file.read_bytes() for file in before} == before


def test_other_options_do_not_replace_an_export(tmp_path: Path) -> None:
    store = write(tmp_path / "a", range(2))
    parquet(store, tmp_path / "out", last_frames="row")
    with pytest.raises(StoreError, match="with other options"):
        parquet(store, tmp_path / "out")


def test_a_store_that_grew_leaves_no_file_of_the_smaller_one(tmp_path: Path) -> None:
    parquet(write(tmp_path / "a", range(2)), tmp_path / "out")
    files = parquet(write(tmp_path / "a", range(2, 5)), tmp_path / "out")
    assert sorted((tmp_path / "out").glob("*.parquet")) == files and len(files) == 5


def test_imported_files_are_not_deleted_by_an_export_beside_them(tmp_path: Path) -> None:
    (file,) = export_parquet(write(tmp_path / "a", range(1)), tmp_path / "hub")
    (tmp_path / "hub" / ".train-export.json").unlink()  # as if downloaded
    store = import_parquet(file, tmp_path / "b", "x", "train", Origin(engine="x"), alignment="trust")
    with pytest.raises(StoreError, match="is not from an export"):
        export_parquet(store, tmp_path / "hub")
    assert pq.read_metadata(file).num_rows == 2


def test_collections_of_the_same_levels_stay_apart(tmp_path: Path) -> None:
    for index, look in enumerate(("one", "two")):
        write(tmp_path / "both" / look, range(2), 50 * index)
    for arguments in (["export", "parquet"], ["export", "mp4"], ["sheet"]):
        assert main(["data", *arguments, str(tmp_path / "both"), "--out", str(tmp_path / "_".join(arguments))]) == 0
    assert len(list((tmp_path / "export_parquet").rglob("*.parquet"))) == 2
    assert len(list((tmp_path / "export_mp4").rglob("*.mp4"))) == 4
    assert sorted(path.name for path in (tmp_path / "sheet").iterdir()) == ["one-x-train.png", "two-x-train.png"]


def test_video_without_actions_leaves_no_folder(tmp_path: Path) -> None:
    with RolloutWriter(tmp_path / "v", "x", "train", Origin(engine="x"), with_actions=False) as writer:
        writer.append_episode(Episode(np.zeros((3, 16, 16, 3), np.uint8)))
    with pytest.raises(ValueError, match="video without actions"):
        export_parquet(RolloutStore(writer.path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_picture_goes_where_its_link_points(tmp_path: Path) -> None:
    write(tmp_path / "a", range(2))
    (tmp_path / "real.png").write_text("old")
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    assert main(["data", "sheet", str(tmp_path / "a"), "--out", str(tmp_path / "link.png")]) == 0
    assert (tmp_path / "link.png").is_symlink() and (tmp_path / "real.png").read_bytes().startswith(b"\x89PNG")
