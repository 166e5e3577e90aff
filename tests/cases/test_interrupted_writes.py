"""An interrupted write leaves the old state and no half-written files."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from flexlam_rl.datasets import Episode, Origin, RolloutWriter, load_labels, make_labels
from flexlam_rl.datasets import labels as module
from flexlam_rl.datasets.store import RolloutStore, open_rollouts
from flexlam_rl.datasets.validate import validate
from flexlam_rl.utils.errors import DiskFull, StoreError


def write(root: Path, level: str, key: int = 0) -> Path:
    with RolloutWriter(root, level, "train", Origin(engine="x"), chunk=2, shard=4) as writer:
        writer.append_episode(Episode(np.full((9, 8, 8, 3), key, np.uint8), np.zeros(8, int), np.zeros(8), key=key))
    return writer.path


def test_a_new_writer_sweeps_what_a_killed_one_left(tmp_path: Path) -> None:
    path = write(tmp_path, "x")
    beyond = path / "frames/c/3/0/0"
    beyond.mkdir(parents=True)
    for left in (
        beyond / ".0.1.2.tmp",
        beyond / "0",
        path / "frames/c/2/0/0/.0.1.2.tmp",
        path / "reward/c/.0.1.2.tmp",
        path / ".zarr.json.1.2.tmp",
    ):
        left.write_bytes(b"half")
    write(tmp_path, "x", 1)
    assert not list(path.rglob("*.tmp"))
    assert validate(path).good and RolloutStore(path).frames[:, 0, 0, 0].tolist() == [0] * 9 + [1] * 9


def test_labels_are_replaced_at_once_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for level in ("a", "b"):
        write(tmp_path, level)
    rollouts = open_rollouts(tmp_path)
    make_labels(rollouts, "few", count=4)
    before = load_labels(rollouts, "few").digest

    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_json", no_space)
        with pytest.raises(DiskFull):
            make_labels(rollouts, "few", count=6, overwrite=True)
    assert load_labels(rollouts, "few").digest == before
    assert not [name for store in rollouts.stores for name in os.listdir(store.path / "labels") if name.startswith(".")]


def test_a_name_that_one_level_has_is_given_to_none(tmp_path: Path) -> None:
    for level in ("a", "b"):
        write(tmp_path, level)
    make_labels(open_rollouts(tmp_path, ["b"]), "few", count=2)
    with pytest.raises(StoreError, match="exists"):
        make_labels(open_rollouts(tmp_path), "few", count=4)
    assert not (tmp_path / "a" / "train.zarr" / "labels").exists()


def test_labels_of_two_draws_are_not_mixed(tmp_path: Path) -> None:
    for level in ("a", "b"):
        write(tmp_path, level)
    rollouts = open_rollouts(tmp_path)
    make_labels(rollouts, "few", count=4, seed=0)
    old = (rollouts.stores[1].path / "labels").rename(tmp_path / "old")
    make_labels(rollouts, "few", count=4, seed=1, overwrite=True)  # as if it had been killed after the first level:
    (rollouts.stores[1].path / "labels").rename(tmp_path / "new")
    old.rename(rollouts.stores[1].path / "labels")
    with pytest.raises(StoreError, match="drawn in another way"):
        load_labels(rollouts, "few")
