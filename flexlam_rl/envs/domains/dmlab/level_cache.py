"""A cache of the real engine's compiled maps on disk, which any number of processes may share.

Building a maze takes DeepMind Lab seconds; its level cache protocol asks an object for `fetch(key, path)` and
`write(key, path)`. An entry is a file whose name is a hash of the key. It is written beside its place, flushed to the
disk and renamed, so that a process killed at any moment leaves no partial entry; a checksum at its end keeps a damaged
one from ever being served.
"""

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from flexlam_rl.utils.files import write_atomically

_DIGEST = 32  # bytes of checksum behind the content


def default_folder() -> Path:
    """Where the cache stands if nobody says otherwise: `levels` in FLEXLAM_CACHE_DIR, or in the user's cache folder."""
    root = os.environ.get("FLEXLAM_CACHE_DIR")
    return (
        Path(root) if root else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flexlam_rl"
    ) / "levels"


class LevelCache:
    """DeepMind Lab's level cache in a folder.

    Args:
        folder: The folder; it is made if need be.

    Raises:
        ValueError: The folder cannot be made or written to.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self.folder = Path(folder) if folder is not None else default_folder()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / f".{secrets.token_hex(8)}.tmp"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ValueError(
                f"level_cache must be a folder that can be written to, got {str(self.folder)!r} ({error.strerror}); "
                "pass another one or set FLEXLAM_CACHE_DIR."
            ) from None

    def entry(self, key: str) -> Path:
        """The file of a key."""
        return self.folder / (hashlib.sha256(key.encode()).hexdigest() + ".map")

    def fetch(self, key: str, pk3_path: str) -> bool:
        """Copy the entry of `key` to `pk3_path`, if there is a whole one; returns whether there was."""
        try:
            stored = self.entry(key).read_bytes()
        except OSError:
            return False
        content, digest = stored[:-_DIGEST], stored[-_DIGEST:]
        if len(stored) < _DIGEST or hashlib.sha256(key.encode() + content).digest() != digest:
            return False
        _write_whole(Path(pk3_path), content)
        return True

    def write(self, key: str, pk3_path: str) -> None:
        """Store the file `pk3_path` under `key`.

        A full or failing disk costs the entry, never the episode.
        """
        content = Path(pk3_path).read_bytes()
        with contextlib.suppress(OSError):
            write_atomically(self.entry(key), content + hashlib.sha256(key.encode() + content).digest())

    def clean(self) -> int:
        """Remove what killed processes left behind; returns the number of files."""
        count = 0
        for path in self.folder.glob(".*.tmp"):
            with contextlib.suppress(OSError):
                path.unlink()
                count += 1
        return count


def _write_whole(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
