"""Folders for the real engine's temporary files, which go with the process that uses them.

Left to itself the engine makes one for each instance and removes it only where it is closed properly. Here the process
keeps its folder locked (the folder itself, so that there is no moment in which it has no lock to look at). The lock
ends with the process, however it ends, and what is no longer locked is removed by the next process that asks for a
folder.
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
        with contextlib.suppress(FileNotFoundError, BlockingIOError):  # another process took it for an old one
            held = _lock(folder)
            if folder.exists():
                _mine[folder] = (os.getpid(), held)
                return folder
            os.close(held)


def _lock(folder: Path) -> int:
    """Lock a folder; returns the descriptor that holds the lock."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise
    return held


def remove(folder: Path) -> None:
    """Remove a folder that this process made; one that a parent made before a fork stays."""
    process, held = _mine.pop(folder, (0, -1))
    if process == os.getpid():
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def remove_all() -> None:
    """Remove all folders of this process."""
    for folder in list(_mine):
        remove(folder)


def sweep() -> None:
    """Remove the folders of this user's processes that have ended without doing so."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # no longer there, not ours, a link, or in use
            if folder.stat().st_uid != os.getuid():
                continue
            held = _lock(folder)
            try:
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(held)
