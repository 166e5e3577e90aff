"""Folders for the real engine's temporary files, which go with the process that uses them.

Left to itself the engine makes one for each instance and removes it only where it is closed properly. Here a folder
holds a file that its process keeps locked. The lock ends with the process, however it ends, and what is no longer
locked is removed by the next process that asks for a folder.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "flexlam-dmlab-"
_LOCK = "lock"
_mine: dict[Path, tuple[int, int]] = {}  # folder -> process, descriptor that holds the lock


def make() -> Path:
    """Make a folder for this process.

    Raises:
        OSError: It cannot be made.
    """
    sweep()
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        held = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        with contextlib.suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (folder / _LOCK).exists():
                _mine[folder] = (os.getpid(), held)
                return folder
        os.close(held)  # another process took the folder for an old one before it was locked


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
        with contextlib.suppress(OSError):  # no longer there, not ours, or in use
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            held = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(held)
