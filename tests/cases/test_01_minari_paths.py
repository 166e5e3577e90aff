"""Paths of every kind work for every format and command, and a failure leaves nothing behind."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flexlam_rl.cli import main
from flexlam_rl.datasets import Episode, Origin, RolloutWriter, StoreError, open_rollouts
from flexlam_rl.datasets.store import RolloutStore

ORIGIN = Origin(engine="litelab", action_set="dreamer15", action_table=((0,) * 7,) * 15)
LEVEL = "rooms_watermaze"
PATHS = ("out", "../beside/out", "sp ace/o'ut%20#", "link/out", "link/../up", "{absolute}/out")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: it has a link to a folder elsewhere."""
    for name in ("work", "beside", "elsewhere/deep"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "work" / "link").symlink_to(tmp_path / "elsewhere" / "deep")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def write(root: str | Path, **changes: Any) -> RolloutStore:
    frames = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8)
    episode = Episode(frames, np.arange(5, dtype=np.int16), np.ones(5, np.float32), truncated=True, key=0)
    with RolloutWriter(root, LEVEL, "train", ORIGIN) as writer:
        writer.append_episode(replace(episode, **changes))
    return RolloutStore(writer.path)


def left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if ".tmp" in path.name]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("form", ["hdf5", "arrow", "parquet"])
def test_exports_and_imports_take_any_path(here: Path, form: str, path: str) -> None:
    out = path.format(absolute=here)
    store = write("data")
    if form == "parquet":
        assert main(["data", "export", "parquet", "data", "--out", out, "--last-frames", "row"]) == 0
        assert main(["data", "import", "parquet", f"{out}/{LEVEL}", "--trust", "--out", f"{out}-back"]) == 0
    else:
        pytest.importorskip("minari")
        assert main(["data", "export", "minari", "data", "--out", out, "--format", form]) == 0
        assert main(["data", "import", "minari", f"{out}/dmlab/{LEVEL}/train-v0/data", "--out", f"{out}-back"]) == 0
    assert open_rollouts(f"{out}-back")[0].digest == store.digest
    assert not left(here)


@pytest.mark.parametrize("path", PATHS)
def test_stores_labels_and_pictures_take_any_path(here: Path, path: str) -> None:
    root = path.format(absolute=here)
    write(root)
    assert main(["data", "labels", root, "--name", "few", "--count", "3"]) == 0
    assert main(["data", "sheet", root, "--out", f"{root}-sheets"]) == 0
    assert main(["data", "inspect", root, "--no-speed"]) == 0
    assert Path(f"{root}-sheets/{LEVEL}-train.png").is_file()
    assert not left(here)


@pytest.mark.parametrize("path", PATHS)
def test_collect_takes_any_path(here: Path, path: str) -> None:
    out = path.format(absolute=here)
    assert (
        main(
            [
                "collect",
                "--level",
                LEVEL,
                "--expert",
                "random",
                "--steps",
                "1",
                "--num-envs",
                "1",
                "--frame-skip",
                "60",
                "--out",
                out,
            ]
        )
        == 0
    )
    assert open_rollouts(out)[0].episodes == 1


def test_a_store_is_found_from_within_and_through_a_link(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = write("data")
    Path("latest").symlink_to(store.path.resolve())
    assert main(["data", "inspect", "latest", "--no-speed", "--json"]) == 0
    monkeypatch.chdir(store.path)
    assert main(["data", "inspect", ".", "--no-speed", "--json"]) == 0
    assert capsys.readouterr().out.count('"episodes": 1,\n  "cut_episodes"') == 2


def test_a_minari_export_that_fails_leaves_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("minari")
    from flexlam_rl.datasets.formats.minari import export_minari

    store = write("data")
    for file in (store.path / "frames").rglob("*"):
        if file.is_file() and file.name != "zarr.json":
            file.write_bytes(b"damaged")
    with pytest.raises(StoreError):
        export_minari(store, "made/by/export")
    assert sorted(path.name for path in here.joinpath("work").iterdir()) == ["data", "link"]


def test_what_a_killed_export_left_is_removed(here: Path) -> None:
    pytest.importorskip("minari")
    from flexlam_rl.datasets.formats.minari import export_minari

    old = Path("out/.data.999999999.1.tmp")
    old.mkdir(parents=True)
    export_minari(write("data"), "out/data")
    assert [path.name for path in Path("out").iterdir()] == ["data"]


def test_labels_are_drawn_for_all_stores_or_none(here: Path) -> None:
    write("data")
    with RolloutWriter("data", "zeta", "train", ORIGIN) as writer:
        writer.append_episode(
            Episode(np.zeros((6, 16, 16, 3), np.uint8), np.zeros(5, np.int16), np.zeros(5, np.float32))
        )
    (Path("data") / "zeta" / "train.zarr" / "labels" / "few").mkdir(parents=True)
    assert main(["data", "labels", "data", "--name", "few", "--count", "4"]) == 2
    assert not (Path("data") / LEVEL / "train.zarr" / "labels").exists()
