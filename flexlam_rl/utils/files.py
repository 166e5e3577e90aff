"""Files written such that a kill at any moment leaves the old or the new one, and one writer per folder."""

import contextlib
import errno
import fcntl
import glob
import json
import os
import secrets
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from flexlam_rl.utils.errors import DiskFull, StoreError, StoreLocked

_FULL = (errno.ENOSPC, errno.EDQUOT)
Progress = Callable[[int, int], None]  # told how much is done, and of how much


def no_progress(done: int, total: int) -> None:
    """A `Progress` that tells nobody."""


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk into one sentence; what was committed before is untouched.

    Raises:
        DiskFull: No space, or a quota, on the disk of `path`.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise _full(path) from error
        raise


def _full(path: Path) -> DiskFull:
    return DiskFull(
        f"The disk of {path} is full: free some space and run the same command again, every finished episode before "
        "this one is stored."
    )


@contextlib.contextmanager
def atomic_path(path: Path, ending: str = ".tmp") -> Iterator[Path]:
    """Fill a file that appears under its name only when it is complete; a link stays a link, what it leads to is
    replaced.

    Args:
        path: What is written.
        ending: Of the name until then, for programs that go by it.

    Yields:
        The path of an empty file beside it.

    Raises:
        OSError: The folder does not exist or cannot be written; the sentence names the file wanted.
    """
    target = path.resolve()
    temporary = _beside(target).with_suffix(ending)
    try:
        if not target.parent.is_dir():
            raise FileNotFoundError(f"Cannot write {str(path)!r}: the folder {str(path.parent)!r} does not exist.")
        try:
            open(temporary, "wb").close()
        except OSError as error:
            if error.errno in _FULL:
                raise
            raise type(error)(f"Cannot write {str(path)!r}: {error.strerror}.") from None
        yield temporary
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Write a binary file that appears under its name only when it is complete and on the disk (see `atomic_path`)."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file such that at any moment either the old one or the whole new one is there; its folder is made."""
    path.resolve().parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write(data)


def settled(path: str | os.PathLike[str]) -> Path:
    """A path that means the same place whatever the current folder becomes; links keep their names, `..` is followed.

    Raises:
        ValueError: It is empty.
    """
    if not os.fspath(path):
        raise ValueError(
            f"The path {os.fspath(path)!r} is empty: expected the name of a file or folder ('.' is the current one)."
        )
    found = Path(path).absolute()
    return found.resolve() if ".." in found.parts else found


def sweep(folder: Path) -> None:
    """Remove what a killed `atomic_file` left in a folder that nobody else writes."""
    for left in folder.glob(".*.tmp"):
        left.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically, into a folder that is there."""
    data = json.dumps(content, indent=1, allow_nan=False).encode()
    with atomic_file(path) as file:
        file.write(data)


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        StoreError: The file is damaged.
    """
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise StoreError(f"{path} is damaged: it is no JSON ({error}).") from error


@contextlib.contextmanager
def atomic_folder(folder: Path, replace: bool = False) -> Iterator[Path]:
    """Fill a folder that appears under its name only when it is complete; nothing is left of one that fails.

    Args:
        folder: Must not be there, or be empty; the one above it is made.
        replace: Take the place of a folder that is there, which stays until the new one is complete.

    Yields:
        An empty folder beside it, by its full name: TensorStore and HDF5 take no others.
    """
    folder = folder.resolve()
    made = [above for above in folder.parents if not above.exists()]
    temporary = _beside(folder)
    former = temporary.with_suffix(".old")
    try:
        temporary.mkdir(parents=True)
        for left in folder.parent.glob(f".{glob.escape(folder.name)}.*.tmp"):
            if not _alive(left.name.removeprefix(f".{folder.name}.").split(".")[0]):
                shutil.rmtree(left, ignore_errors=True)  # of a process that was killed
        yield temporary
        if replace and folder.exists():
            os.replace(folder, former)
        os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        if former.exists() and not folder.exists():
            os.replace(former, folder)
        with contextlib.suppress(OSError):
            for above in made:  # the innermost first; one that somebody else fills meanwhile stays
                above.rmdir()
        raise
    sync_folder(folder.parent)
    shutil.rmtree(former, ignore_errors=True)


def _beside(path: Path) -> Path:
    """A new name beside `path`, unique among machines that share the folder; `sweep` knows the ending."""
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(8)}.tmp")


def _alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (ValueError, OSError):
        pass
    return True


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_held: set[tuple[int, int]] = set()
_guard = threading.Lock()


def _after_fork() -> None:
    """Forget the locks of the parent: the kernel gives a child none of them, and another thread may have held the
    guard.
    """
    global _guard
    _guard = threading.Lock()
    _held.clear()


os.register_at_fork(after_in_child=_after_fork)


class FolderLock:
    """The right to write one folder: a POSIX lock on a file in it, which the kernel drops when its process dies.

    Raises:
        StoreLocked: Another live writer holds it.
    """

    def __init__(self, folder: Path, wait: bool = False) -> None:
        self._process = os.getpid()
        self._path = folder / ".writer.lock"
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        stat = os.fstat(self._descriptor)
        self._key = (stat.st_dev, stat.st_ino)
        with _guard:
            # POSIX locks belong to the process, so a second writer of the same process is caught here
            if self._key in _held:
                # left open: closing any descriptor of the file would drop this process's lock
                raise StoreLocked(
                    f"{folder} already has a writer in this process: close it first, a store has one writer at a time."
                )
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                owner = os.pread(self._descriptor, 200, 0).decode(errors="replace").strip() or "another process"
                os.close(self._descriptor)
                raise StoreLocked(f"{folder} is being written by {owner}: a store has one writer at a time.") from None
            _held.add(self._key)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def release(self) -> None:
        """Give the right back; may be called again."""
        if os.getpid() != self._process:
            # a copy that a fork made: the lock is its parent's, and closing the file could drop one that this process
            # took itself
            return
        with _guard:
            if self._key in _held:
                _held.discard(self._key)
                os.close(self._descriptor)
