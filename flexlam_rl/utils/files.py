"""Atomic writes, after which a kill at any moment leaves either the old or the new file, and one writer per folder."""

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
Progress = Callable[[int, int], None]  # called with the amount done and the total


def no_progress(done: int, total: int) -> None:
    """Do nothing: a `Progress` for callers that want no reports."""


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the OSError of a full disk into one sentence. Data that was committed before stays.

    Raises:
        DiskFull: The disk of `path` has no space left, or a quota is used up.
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
    """Fill a temporary file that takes the name `path` when the block ends without an error.

    Args:
        path: The file to write. A symbolic link stays, and its target is replaced.
        ending: Ending of the temporary name, for programs that choose a format by it.

    Yields:
        The path of an empty temporary file in the same folder.

    Raises:
        OSError: The folder does not exist or cannot be written; the message names `path`.
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
    """Open a binary file that appears under its name only when it is complete and synced to disk (`atomic_path`)."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file atomically, and create its folder if it is missing."""
    path.resolve().parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write(data)


def settled(path: str | os.PathLike[str]) -> Path:
    """Make a path absolute, so that a later change of the current folder does not affect it.

    Symbolic links are kept, unless the path has a "..", which is resolved together with them.

    Raises:
        ValueError: The path is empty.
    """
    if not os.fspath(path):
        raise ValueError(
            f"The path {os.fspath(path)!r} is empty: expected the name of a file or folder ('.' is the current one)."
        )
    found = Path(path).absolute()
    return found.resolve() if ".." in found.parts else found


def sweep(folder: Path) -> None:
    """Remove the temporary files that a killed `atomic_file` left in a folder; nobody else may be writing to it."""
    for left in folder.glob(".*.tmp"):
        left.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically into a folder that exists."""
    data = json.dumps(content, indent=1, allow_nan=False).encode()
    with atomic_file(path) as file:
        file.write(data)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        StoreError: The file does not contain valid JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise StoreError(f"{path} is damaged: it is no JSON ({error}).") from error


@contextlib.contextmanager
def atomic_folder(folder: Path, replace: bool = False) -> Iterator[Path]:
    """Fill a temporary folder that takes the name `folder` when the block ends without an error; else it is removed.

    Args:
        folder: A folder that is missing or empty; its parents are created.
        replace: Allow a folder with contents, which is replaced once the new one is complete.

    Yields:
        The absolute path of an empty temporary folder beside it (TensorStore and HDF5 need absolute paths).
    """
    folder = folder.resolve()
    made = [above for above in folder.parents if not above.exists()]
    temporary = _beside(folder)
    former = temporary.with_suffix(".old")
    try:
        temporary.mkdir(parents=True)
        for left in folder.parent.glob(f".{glob.escape(folder.name)}.*.tmp"):
            if not _alive(left.name.removeprefix(f".{folder.name}.").split(".")[0]):
                shutil.rmtree(left, ignore_errors=True)  # left by a process that was killed
        yield temporary
        if replace and folder.exists():
            os.replace(folder, former)
        os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        if former.exists() and not folder.exists():
            os.replace(former, folder)
        with contextlib.suppress(OSError):
            for above in made:  # the innermost first; one that another process has filled meanwhile stays
                above.rmdir()
        raise
    sync_folder(folder.parent)
    shutil.rmtree(former, ignore_errors=True)


def _beside(path: Path) -> Path:
    """Make a new name beside `path`, unique among machines that share the folder, with the ending `sweep` looks for."""
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
    """Sync a folder's directory entries to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_held: set[tuple[int, int]] = set()
_guard = threading.Lock()


def _after_fork() -> None:
    """Forget the parent's locks: a child does not inherit them, and another thread of the parent may have held the
    guard.
    """
    global _guard
    _guard = threading.Lock()
    _held.clear()


os.register_at_fork(after_in_child=_after_fork)


class FolderLock:
    """The right to write to one folder: a POSIX lock on a file in it, which the kernel releases when the process dies.

    Args:
        folder: The folder.
        wait: Wait while another process holds the lock, instead of raising an error.

    Raises:
        StoreLocked: Another live writer holds the lock.
    """

    def __init__(self, folder: Path, wait: bool = False) -> None:
        self._process = os.getpid()
        self._path = folder / ".writer.lock"
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        stat = os.fstat(self._descriptor)
        self._key = (stat.st_dev, stat.st_ino)
        with _guard:
            # POSIX locks belong to the process, so only this check catches a second writer of the same process
            if self._key in _held:
                # the descriptor stays open: closing any descriptor of the file would drop this process's lock
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
        """Release the lock; further calls do nothing."""
        if os.getpid() != self._process:
            # this copy was made by a fork: the lock belongs to the parent, and closing the file could drop a lock that
            # this process took itself
            return
        with _guard:
            if self._key in _held:
                _held.discard(self._key)
                os.close(self._descriptor)
