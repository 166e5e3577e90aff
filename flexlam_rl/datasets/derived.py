"""Values that follow from the rows of a store, computed once and kept beside it.

They lie in `<store>/<kind>/<key>-<digest>/`, or in the cache's folder where the store cannot be written: `rows.raw`,
and `record.json` with a checksum per block. The digest is that of the store's content, so values of a store that grew
are computed anew; nothing is ever read of another content. Whoever is stopped while computing goes on at the next block
that is missing. The folder may be deleted at any time.

Legend: `N` rows of the store, `...` what a row has.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.datasets.cache import cache_folder
from flexlam_rl.datasets.codecs import crc32c
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.errors import DamagedData
from flexlam_rl.utils.files import FolderLock, disk_errors, no_progress, read_json, write_json

BLOCK = 4096
"""Rows that are computed, written and checked together."""


def derived_rows(
    store: RolloutStore,
    kind: str,
    key: str,
    row: tuple[int, ...],
    dtype: Any,
    compute: Callable[[int, int], np.ndarray],
    progress: Callable[[int, int], None] = no_progress,
) -> np.ndarray:
    """Give the values of all rows, computing those that are missing.

    Args:
        store: Whose rows.
        kind: What the values are; the name of a folder.
        key: Digest of what they are computed with.
        row: Shape of a row's values.
        dtype: Their type.
        compute: Gives the values of rows `first` to `last`, (last - first, ...).
        progress: Is told how many rows are there, and of how many.

    Returns:
        (N, ...), read-only, mapped from the disk. All checksums have been compared.

    Raises:
        DamagedData: A finished file does not fit its checksums; the sentence names it.
        DiskFull: There is no room.

    Safe with several processes: one computes, the others wait.
    """
    folder = _folder(store, kind, key)
    kind_of = np.dtype(dtype).newbyteorder("<")
    expected = {"digest": store.digest, "key": key, "rows": store.rows, "row": list(row), "dtype": kind_of.str}
    file = _File(folder, expected, kind_of)
    if not file.finished:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock = FolderLock(folder, wait=True)
            try:
                file.fill(compute, progress)
            finally:
                lock.release()
    return file.checked()


def has_derived_rows(store: RolloutStore, kind: str, key: str) -> bool:
    """Tell whether the values of all rows have been computed and are there."""
    record = _folder(store, kind, key) / "record.json"
    return record.exists() and len(read_json(record).get("crc32c", [])) == -(-store.rows // BLOCK)


def _folder(store: RolloutStore, kind: str, key: str) -> Path:
    name = f"{key[:32]}-{store.digest[:32]}"
    if os.access(store.path, os.W_OK):
        return Path(store.path) / kind / name
    return cache_folder().parent / kind / name


class _File:
    """Blocks of rows in one file, and the record of those that are whole."""

    def __init__(self, folder: Path, expected: dict[str, Any], dtype: np.dtype[Any]) -> None:
        self.raw, self.path, self.expected, self.dtype = folder / "rows.raw", folder / "record.json", expected, dtype
        self.rows, self.row = int(expected["rows"]), tuple(expected["row"])
        self.blocks = -(-self.rows // BLOCK)

    @property
    def sums(self) -> list[int]:
        """Checksums of the blocks that were written."""
        if not self.path.exists():
            return []
        record = read_json(self.path)
        found = {name: record.get(name) for name in self.expected} if isinstance(record, dict) else record
        if found != self.expected:
            raise DamagedData(f"{self.path} has {found}; expected {self.expected}. Delete {self.path.parent}.")
        return [int(number) for number in record["crc32c"]]

    @property
    def finished(self) -> bool:
        """Whether all blocks were written."""
        return self.path.exists() and len(self.sums) == self.blocks

    def _mapped(self, rows: int) -> np.ndarray:
        shape = (rows, *self.row)
        return np.memmap(self.raw, self.dtype, "r", shape=shape) if rows else np.zeros(shape, self.dtype)

    def _good(self, sums: list[int]) -> int:
        """How many of the first blocks are as they were written."""
        size = int(np.prod(self.row, dtype=np.int64)) * self.dtype.itemsize
        held = self.raw.stat().st_size // size if self.raw.exists() else 0
        whole = sum(min((i + 1) * BLOCK, self.rows) <= held for i in range(len(sums)))
        values = self._mapped(min(whole * BLOCK, self.rows))
        for block, number in enumerate(sums[:whole]):
            if crc32c(values[block * BLOCK : (block + 1) * BLOCK].tobytes()) != number:
                return block
        return whole

    def fill(self, compute: Callable[[int, int], np.ndarray], progress: Callable[[int, int], None]) -> None:
        """Compute the blocks that are missing."""
        sums = self.sums
        del sums[self._good(sums) :]  # another process may have been stopped, or have finished meanwhile
        self.raw.touch()
        with open(self.raw, "r+b") as file:
            size = int(np.prod(self.row, dtype=np.int64)) * self.dtype.itemsize
            file.seek(min(len(sums) * BLOCK, self.rows) * size)
            file.truncate()
            for block in range(len(sums), self.blocks):
                first, last = block * BLOCK, min((block + 1) * BLOCK, self.rows)
                progress(first, self.rows)
                values = np.ascontiguousarray(compute(first, last), self.dtype)
                if values.shape != (last - first, *self.row):
                    raise ValueError(f"values have the shape {values.shape}; expected {(last - first, *self.row)}.")
                file.write(values.tobytes())
                file.flush()
                os.fsync(file.fileno())
                sums.append(crc32c(values.tobytes()))
                # a block counts when it is on the disk
                write_json(self.path, {**self.expected, "crc32c": sums})
        if not self.blocks:
            write_json(self.path, {**self.expected, "crc32c": []})
        progress(self.rows, self.rows)

    def checked(self) -> np.ndarray:
        """All rows, compared with their checksums.

        Raises:
            DamagedData: A block differs.
        """
        good = self._good(self.sums)
        if good < self.blocks:
            rows = f"{good * BLOCK} to {min((good + 1) * BLOCK, self.rows) - 1}"
            raise DamagedData(f"{self.raw} is damaged in rows {rows}: delete {self.raw.parent}, which is made again.")
        return self._mapped(self.rows)
