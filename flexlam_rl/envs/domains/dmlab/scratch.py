"""Folders for the real engine's temporary files, which are removed even if the process that uses them is killed.

On its own, the engine makes a folder per instance and removes it only if it is closed properly. Here, a process holds a
lock on the folder that it uses. The lock ends with the process, however it ends, and the next process that asks for a
folder removes those without a lock. The lock is on the folder itself, because a lock file in it would appear too late.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "flexlam-dmlab-"
_mine: dict[Path, tuple[int, int]] = {}  # folder -> process, descriptor that holds the lock


def make() -> Path:
    """Make a folder for this process.

    Raises:
        OSError: It cannot be made or locked.
    """
    sweep()
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        with contextlib.suppress(FileNotFoundError, BlockingIOError):  # swept by another process before it was locked
            held = _lock(folder)
            if folder.exists():
                _mine[folder] = (os.getpid(), held)
                return folder
            os.close(held)


def _lock(folder: Path) -> int:
    """Lock a folder and return the descriptor that holds the lock."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise
    return held


def remove(folder: Path) -> None:
    """Remove a folder that this process made; folders that its parent made before a fork stay."""
    process, held = _mine.pop(folder, (0, -1))
    if process == os.getpid():
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def remove_all() -> None:
    """Remove all folders of this process."""
    for folder in list(_mine):
        remove(folder)


def sweep() -> None:
    """Remove folders left behind by processes of this user that have ended."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # removed meanwhile, another user's, a link, or in use
            if folder.stat().st_uid != os.getuid():
                continue
            held = _lock(folder)
            try:
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(held)
