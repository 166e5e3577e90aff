"""A disk cache of the real engine's compiled maps, which any number of processes may share.

DeepMind Lab needs seconds to build a maze. Its level cache protocol calls `fetch(key, path)` and `write(key, path)` of
an object. Here, an entry is a file named by a hash of the key. It is written atomically, so that a killed process
leaves no partial entry, and ends with a checksum, so that a damaged entry is never used.
"""

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from flexlam_rl.utils.files import write_atomically

_DIGEST = 32  # bytes of the checksum after the content


def default_folder() -> Path:
    """Default folder of the cache: `levels` in FLEXLAM_CACHE_DIR if it is set, else in the user's cache folder."""
    root = os.environ.get("FLEXLAM_CACHE_DIR")
    return (
        Path(root) if root else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flexlam_rl"
    ) / "levels"


class LevelCache:
    """DeepMind Lab's level cache in a folder.

    Args:
        folder: The folder, which is created if it is missing; None for the default one.

    Raises:
        ValueError: The folder cannot be created or written to.
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
        """Path of the entry of a key."""
        return self.folder / (hashlib.sha256(key.encode()).hexdigest() + ".map")

    def fetch(self, key: str, pk3_path: str) -> bool:
        """Copy the entry of `key` to `pk3_path`; returns False if there is no intact entry."""
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

        Disk errors are ignored: they cost the entry, but do not stop the episode.
        """
        content = Path(pk3_path).read_bytes()
        with contextlib.suppress(OSError):
            write_atomically(self.entry(key), content + hashlib.sha256(key.encode() + content).digest())

    def clean(self) -> int:
        """Remove temporary files that killed processes left behind; returns their number."""
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
