"""The raw local cache: a store's frames in one memory-mapped file, built once and shared by all processes of a machine.

It is meant for data that fits on the local disk: a raw frame takes about twice the space of a stored one, but reading
it needs a copy instead of a decompression. A cache is named by the hash of the store's content, so a store that has
grown gets a new one, and frames are never read from a cache of other content.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.datasets.codecs import crc32c
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.errors import DamagedData
from flexlam_rl.utils.files import FolderLock, atomic_file, disk_errors, read_json, settled, sweep, write_json
from flexlam_rl.utils.numbers import exact

BLOCK = 1024  # frames per checksum


def cache_folder() -> Path:
    """Folder of raw caches: `raw` in `FLEXLAM_CACHE` if it is set, else in `~/.cache/flexlam_rl`."""
    return Path(os.environ.get("FLEXLAM_CACHE") or Path.home() / ".cache" / "flexlam_rl") / "raw"


class RawFrames:
    """Frames of a store from its raw cache, with the interface of `FrameReader`. A missing cache is built first.

    Several processes can open the same cache: one builds it, the others wait. Opening checks the size and the first and
    last block; `verify` checks everything.

    Args:
        store: The store.
        folder: Folder of all caches; None for `cache_folder()`.

    Raises:
        DiskFull: There is no room for the cache.
        DamagedData: The cache does not match its own record; the message names what to delete.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, store: RolloutStore, folder: str | Path | None = None) -> None:
        folder = settled(cache_folder() if folder is None else folder)
        self.path = folder / f"{store.level}-{store.split}-{store.digest[:32]}"
        self.row = store.frames.row
        self._length = store.rows
        record = self.path / "record.json"
        if not record.exists():
            with disk_errors(folder):
                self.path.mkdir(parents=True, exist_ok=True)
                lock = FolderLock(self.path, wait=True)
                try:
                    if not record.exists():
                        self._build(store, record)
                finally:
                    lock.release()
        self._record: dict[str, Any] = read_json(record)
        expected = {"digest": store.digest, "rows": store.rows, "row": list(self.row)}
        found = {name: self._record.get(name) for name in expected}
        size = (self.path / "frames.raw").stat().st_size
        if found != expected or size != store.rows * int(np.prod(self.row)):
            raise DamagedData(
                f"The raw cache {self.path} is damaged: it has {found} and {size} bytes, expected {expected}. "
                "Delete it."
            )
        self._map()
        if store.rows:
            self.verify([0, (store.rows - 1) // BLOCK])

    def _build(self, store: RolloutStore, record: Path) -> None:
        sums = []
        sweep(self.path)  # a killed build leaves a temporary file as large as the data
        with atomic_file(self.path / "frames.raw") as file:
            for low in range(0, store.rows, BLOCK):
                data = store.frames.read(low, low + BLOCK).tobytes()
                sums.append(crc32c(data))
                file.write(data)
        write_json(
            record, {"digest": store.digest, "rows": store.rows, "row": list(self.row), "block": BLOCK, "crc32c": sums}
        )

    def _map(self) -> None:
        shape = (self._length, *self.row)
        self.array = (
            np.memmap(self.path / "frames.raw", np.uint8, "r", shape=shape)
            if self._length
            else np.empty(shape, np.uint8)
        )
        self._flat = np.asarray(self.array)  # a plain view, because indexing a memmap object is slower

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all frames, (N, H, W, C)."""
        return (self._length, *self.row)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, key: Any) -> np.ndarray:
        return np.array(self._flat[key])

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Read frames `start` to `stop` (not included) into a new array."""
        return np.array(self._flat[start:stop])

    def read_spans(
        self, starts: np.ndarray, span: int, out: np.ndarray | None = None, where: np.ndarray | None = None
    ) -> np.ndarray:
        """Read `span` consecutive frames from each start, (B, span, H, W, C).

        Args:
            starts: (B,) first row of each span.
            span: Number of frames per span.
            out: Array to write to; None for a new one.
            where: (B,) indices into `out`, one per span; None for 0 to B - 1.

        Returns:
            `out`, or the new array.

        Raises:
            IndexError: A span has rows that do not exist.
        """
        starts = exact(starts, np.int64, "The first rows of spans")
        if starts.size and (starts.min() < 0 or starts.max() + span > self._length):
            raise IndexError(
                f"Frames {starts.min()} to {starts.max() + span - 1} of {self.path}: it has frames 0 to "
                f"{self._length - 1}."
            )
        if out is None:
            out = np.empty((len(starts), span, *self.row), np.uint8)
        flat, targets = self._flat, range(len(starts)) if where is None else np.asarray(where).tolist()
        for to, start in zip(targets, starts.tolist(), strict=True):
            out[to] = flat[start : start + span]
        return out

    def verify(self, blocks: list[int] | None = None) -> None:
        """Compare blocks of frames (None for all) with their recorded checksums.

        Raises:
            DamagedData: A block differs; the message names file and rows.
        """
        for block in range(len(self._record["crc32c"])) if blocks is None else blocks:
            low, high = block * BLOCK, min((block + 1) * BLOCK, self._length)
            if crc32c(self._flat[low:high].tobytes()) != self._record["crc32c"][block]:
                raise DamagedData(
                    f"The raw cache {self.path / 'frames.raw'} is damaged in rows {low} to {high - 1}: delete "
                    f"{self.path}."
                )

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("array", "_flat")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map()
