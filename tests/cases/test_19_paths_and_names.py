"""What was written under a name or a path is found again under it."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flexlam_rl.datasets import (
    Episode,
    Origin,
    RawFrames,
    RolloutWriter,
    TransitionPairs,
    load_labels,
    make_labels,
    open_rollouts,
)
from flexlam_rl.datasets.restarts import infer_restarts
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.validate import validate

FRAMES = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), dtype=np.uint8)
LONG, SHORT = "contributed/dmlab30/rooms_watermaze", "rooms_watermaze"


def write(root: Any, level: str = SHORT, key: int = 0) -> RolloutWriter:
    with RolloutWriter(root, level, "train", Origin(engine="x")) as writer:
        writer.append_episode(Episode(FRAMES, np.zeros(8, int), np.zeros(8), key=key))
    return writer


def test_a_level_has_one_store_whichever_way_it_is_named(tmp_path: Path) -> None:
    assert write(tmp_path, LONG, 0).path == write(tmp_path, SHORT, 1).path
    for name in (LONG, SHORT):
        rollouts = open_rollouts(tmp_path, [name])
        assert rollouts.levels == (SHORT,) and rollouts.stores[0].episodes == 2
        assert open_rollouts(tmp_path, name).levels == (SHORT,)
        make_labels(rollouts, "few", count=2, levels=[name], overwrite=True)
        assert infer_restarts(name, np.full(40, 1.0), 41).any()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "/x", "contributed/dmlab30/", "contributed/dmlab30/a/b", "a\0b", 3, None]
)
def test_names_that_are_no_folder_are_refused(tmp_path: Path, name: Any) -> None:
    root = tmp_path / "root"
    with pytest.raises(ValueError, match=r"The level .* cannot name a folder"):
        RolloutWriter(root, name, "train", Origin(engine="x"))
    if not str(name).startswith("contributed"):
        with pytest.raises(ValueError, match=r"The split .* cannot name a folder"):
            RolloutWriter(root, "x", name, Origin(engine="x"))
        with pytest.raises(ValueError, match=r"The extra column .* cannot name a folder"):
            RolloutWriter(root, "x", "train", Origin(engine="x"), extra={name: ("float32", ())})
    assert not root.exists()


def test_an_empty_path_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for use in (write, open_rollouts, RolloutStore):
        with pytest.raises(ValueError, match="is empty"):
            use("")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "form", ["data", "./data/", "../here/data", "../a space/../here/data", "link/data", "link/../here/data"]
)
def test_paths_of_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    for name in ("here", "a space", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    with RolloutWriter(form, SHORT, "train", Origin(engine="x")) as writer:
        one = Episode(FRAMES, np.zeros(8, int), np.zeros(8))
        writer.append_episode(one)
        rollouts = open_rollouts(form)
        store, cached, pairs = rollouts.stores[0], RawFrames(rollouts.stores[0], "cache"), TransitionPairs(rollouts)
        monkeypatch.chdir(tmp_path / "elsewhere")  # all of them stay where they were opened
        writer.append_episode(one)
    np.testing.assert_array_equal(store.frames[:], FRAMES)
    np.testing.assert_array_equal(cached[:], FRAMES)
    np.testing.assert_array_equal(pairs[0]["frames"], FRAMES[:2])
    assert store.action.shape == (9,) and not store.reward[:].any()
    make_labels(rollouts, "few", count=2)
    assert len(load_labels(rollouts, "few")) == 2
    assert not list((tmp_path / "elsewhere").iterdir())
    assert RolloutStore(tmp_path / "here" / "data" / SHORT / "train.zarr").episodes == 2


def test_a_store_behind_a_link(tmp_path: Path) -> None:
    path = write(tmp_path / "data").path
    (tmp_path / "links" / SHORT).mkdir(parents=True)
    (tmp_path / "links" / SHORT / "train.zarr").symlink_to(path)
    (tmp_path / "one").symlink_to(path)
    for root in (tmp_path / "links", tmp_path / "one", f"{path}{os.sep}"):
        assert open_rollouts(root).stores[0].rows == 9
    write(tmp_path / "links", key=1)
    assert validate(path).good and RolloutStore(path).episodes == 2
