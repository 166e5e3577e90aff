"""Values that are computed from the rows of a store once, and kept with it.

They are stored in `<store>/<kind>/<key>-<digest>/`, or in the cache folder if the store cannot be written to, as
`rows.raw` and `record.json` with a checksum per block. The digest is the one of the store's content, so values are
computed anew for a store that has grown, and never read for other content. An interrupted computation continues at the
next missing block. The folder may be deleted at any time.

Legend: `N` rows of the store, `...` shape of a row's values.
"""

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.datasets.cache import cache_folder
from flexlam_rl.datasets.codecs import crc32c
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.errors import DamagedData
from flexlam_rl.utils.files import FolderLock, disk_errors, no_progress, read_json, write_json
from flexlam_rl.utils.progress import lasting_bar

BLOCK = 4096
"""Number of rows that are computed, written and checked together."""


def derived_rows(
    store: RolloutStore,
    kind: str,
    key: str,
    row: tuple[int, ...],
    dtype: Any,
    compute: Callable[[int, int], np.ndarray],
    progress: Callable[[int, int], None] = no_progress,
) -> np.ndarray:
    """Read the values of all rows; missing ones are computed first.

    Several processes may ask for the same values: one computes them, the others wait.

    Args:
        store: The store.
        kind: Name of the kind of values, used as a folder's name.
        key: Digest of everything, except the rows, that the values depend on.
        row: Shape of a row's values.
        dtype: Type of the values.
        compute: Function of (first, last) that returns the values of rows first to last - 1, (last - first, ...).
        progress: Called with the number of rows done and the total.

    Returns:
        (N, ...), read-only and memory-mapped. All checksums have been verified.

    Raises:
        DamagedData: A file does not match its checksums; the message names it.
        DiskFull: There is no room.
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


def derived_columns(
    stores: Sequence[RolloutStore],
    kind: str,
    key: str,
    row: tuple[int, ...],
    dtype: Any,
    compute: Callable[[RolloutStore, int, int], np.ndarray],
    title: str,
) -> list[np.ndarray]:
    """Read the values of all rows of several stores, and show the progress where some are computed first.

    Args:
        stores: The stores.
        kind, key, row, dtype: As for `derived_rows`.
        compute: Function of (store, first, last) that returns the values of rows first to last - 1.
        title: Name of the computation.

    Returns:
        Per store (N, ...), as `derived_rows`.

    Raises:
        DamagedData: A file does not match its checksums; the message names it.
        DiskFull: There is no room.
    """
    found: list[np.ndarray] = []
    rows = sum(store.rows for store in stores)
    with lasting_bar(title) as report:
        for store in stores:
            before = sum(map(len, found))

            def told(done: int, _: int, before: int = before) -> None:
                report(before + done, rows)

            found.append(derived_rows(store, kind, key, row, dtype, functools.partial(compute, store), told))
    return found


def has_derived_rows(store: RolloutStore, kind: str, key: str) -> bool:
    """Whether the values of all rows have been computed and stored."""
    record = _folder(store, kind, key) / "record.json"
    return record.exists() and len(read_json(record).get("crc32c", [])) == -(-store.rows // BLOCK)


def _folder(store: RolloutStore, kind: str, key: str) -> Path:
    name = f"{key[:32]}-{store.digest[:32]}"
    if os.access(store.path, os.W_OK):
        return Path(store.path) / kind / name
    return cache_folder().parent / kind / name


class _File:
    """Blocks of rows in one file, and the record of the blocks that are complete."""

    def __init__(self, folder: Path, expected: dict[str, Any], dtype: np.dtype[Any]) -> None:
        self.raw, self.path, self.expected, self.dtype = folder / "rows.raw", folder / "record.json", expected, dtype
        self.rows, self.row = int(expected["rows"]), tuple(expected["row"])
        self.blocks = -(-self.rows // BLOCK)

    @property
    def sums(self) -> list[int]:
        """Checksums of the blocks that have been written."""
        if not self.path.exists():
            return []
        record = read_json(self.path)
        found = {name: record.get(name) for name in self.expected} if isinstance(record, dict) else record
        if found != self.expected:
            raise DamagedData(f"{self.path} has {found}; expected {self.expected}. Delete {self.path.parent}.")
        return [int(number) for number in record["crc32c"]]

    @property
    def finished(self) -> bool:
        """Whether all blocks have been written."""
        return self.path.exists() and len(self.sums) == self.blocks

    def _mapped(self, rows: int) -> np.ndarray:
        shape = (rows, *self.row)
        return np.memmap(self.raw, self.dtype, "r", shape=shape) if rows else np.zeros(shape, self.dtype)

    def _good(self, sums: list[int]) -> int:
        """Count the blocks before the first damaged or missing one."""
        size = int(np.prod(self.row, dtype=np.int64)) * self.dtype.itemsize
        held = self.raw.stat().st_size // size if self.raw.exists() else 0
        whole = sum(min((i + 1) * BLOCK, self.rows) <= held for i in range(len(sums)))
        values = self._mapped(min(whole * BLOCK, self.rows))
        for block, number in enumerate(sums[:whole]):
            if crc32c(values[block * BLOCK : (block + 1) * BLOCK].tobytes()) != number:
                return block
        return whole

    def fill(self, compute: Callable[[int, int], np.ndarray], progress: Callable[[int, int], None]) -> None:
        """Compute the missing blocks."""
        sums = self.sums
        del sums[self._good(sums) :]  # another process may have stopped in the middle, or finished meanwhile
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
                # recorded only now, when the block is on disk
                write_json(self.path, {**self.expected, "crc32c": sums})
        if not self.blocks:
            write_json(self.path, {**self.expected, "crc32c": []})
        progress(self.rows, self.rows)

    def checked(self) -> np.ndarray:
        """Map all rows after comparing them with their checksums.

        Raises:
            DamagedData: A block differs.
        """
        good = self._good(self.sums)
        if good < self.blocks:
            rows = f"{good * BLOCK} to {min((good + 1) * BLOCK, self.rows) - 1}"
            raise DamagedData(f"{self.raw} is damaged in rows {rows}: delete {self.raw.parent}, it is computed again.")
        return self._mapped(self.rows)
