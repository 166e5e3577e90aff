"""Files and folders appear whole or not at all, and nothing else is left beside them."""

import errno
from pathlib import Path

import pytest

from flexlam_rl.utils.files import atomic_file, atomic_folder, atomic_path, write_atomically


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    write_atomically(tmp_path / "deep" / "a.json", b"old")
    for write in (atomic_file, atomic_path):
        with pytest.raises(KeyboardInterrupt), write(tmp_path / "deep" / "a.json"):
            raise KeyboardInterrupt
        assert names(tmp_path / "deep") == ["a.json"]
    assert (tmp_path / "deep" / "a.json").read_bytes() == b"old"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "file")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "file").read_bytes() == b"new"
    assert names(tmp_path) == ["link", "real"]


def test_files_are_readable_as_their_creator_would_make_them(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_atomically(tmp_path / "atomic", b"")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_where_nothing_can_be_written_the_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = r"^Cannot write '.*/no/a': the folder '.*/no' does not exist\.$"
    with pytest.raises(FileNotFoundError, match=missing), atomic_file(tmp_path / "no" / "a"):
        pass

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    refused = r"^Cannot write '.*/a': Permission denied\.$"
    with pytest.raises(PermissionError, match=refused), atomic_file(tmp_path / "a"):
        pass


def test_a_folder_takes_the_place_of_another_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "above" / "folder"
    for text in ("first", "second"):
        with atomic_folder(target, replace=True) as folder:
            (folder / text).touch()
    assert names(target) == ["second"] and names(target.parent) == ["folder"]
    with pytest.raises(RuntimeError), atomic_folder(target, replace=True) as folder:
        (folder / "third").touch()
        raise RuntimeError
    assert names(target) == ["second"] and names(target.parent) == ["folder"]
    with pytest.raises(OSError), atomic_folder(target):
        pass
    assert names(target) == ["second"] and names(target.parent) == ["folder"]
