"""Random access to the frames of a store: chunks in shards are read by position and decoded directly into a batch.

TensorStore and zarr read the same files. For random pairs, this reader needs about half their processor time: it reads
the index of each shard once, opens few files, decodes a chunk once for all items of a batch, and decodes complete
chunks in place.
"""

import os
import threading
import weakref
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.datasets.codecs import crc32c, decoder
from flexlam_rl.datasets.indexing import pick
from flexlam_rl.utils.errors import DamagedData, StoreError
from flexlam_rl.utils.files import read_json, settled
from flexlam_rl.utils.numbers import exact

OPEN_SHARDS = 256  # files kept open; a process may usually have 1,024
MISSING = 2**64 - 1
_readers: "weakref.WeakSet[FrameReader]" = weakref.WeakSet()


def _after_fork() -> None:
    """Give the readers of a forked process new locks: a thread of the parent may have held the old ones."""
    for reader in _readers:
        reader._guard = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


class FrameReader:
    """The frames of one store, (N, H, W, C) uint8. Readers may be used by several threads and after a fork.

    Args:
        path: Folder of the Zarr array.
        length: Number of committed rows.

    Raises:
        StoreError: The array is not sharded, or was not written with this project's codecs.
    """

    def __init__(self, path: Path, length: int) -> None:
        path = settled(path)
        metadata = read_json(path / "zarr.json")
        sharding = metadata["codecs"][0]
        if sharding["name"] != "sharding_indexed":
            raise StoreError(f"{path} has the codec {sharding['name']}: expected sharding_indexed.")
        configuration = sharding["configuration"]
        self.path = path
        self.row: tuple[int, ...] = tuple(metadata["shape"][1:])
        self.shard = int(metadata["chunk_grid"]["configuration"]["chunk_shape"][0])
        self.chunk = int(configuration["chunk_shape"][0])
        self.codecs: list[dict[str, Any]] = configuration["codecs"]
        self._length = length
        self._decode = decoder(self.codecs, str(path))
        self._indices: dict[int, tuple[Any, np.ndarray]] = {}
        self._files: OrderedDict[int, _ShardFile] = OrderedDict()
        self._guard = threading.Lock()
        _readers.add(self)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all frames, (N, H, W, C)."""
        return (self._length, *self.row)

    dtype = np.dtype(np.uint8)

    def __len__(self) -> int:
        return self._length

    def read_spans(
        self, starts: np.ndarray, span: int, out: np.ndarray | None = None, where: np.ndarray | None = None
    ) -> np.ndarray:
        """Read `span` consecutive frames from each start, (B, span, H, W, C).

        Args:
            starts: (B,) first row of each span.
            span: Number of frames per span.
            out: C-contiguous array to write to; None for a new one.
            where: (B,) indices into `out`, one per span; None for 0 to B - 1.

        Returns:
            `out`, or the new array.

        Raises:
            IndexError: A span has rows that do not exist.
            DamagedData: A chunk does not match its checksum; the message names shard and chunk.
        """
        starts = exact(starts, np.int64, "The first rows of spans")
        if starts.size and (starts.min() < 0 or starts.max() + span > self._length):
            raise IndexError(
                f"Frames {starts.min()} to {starts.max() + span - 1} of {self.path}: it has frames 0 to "
                f"{self._length - 1}."
            )
        if out is None:
            out = np.empty((len(starts), span, *self.row), np.uint8)
        chunk = self.chunk
        # a piece is the part of one item in one chunk
        first = starts // chunk
        count = (starts + span - 1) // chunk - first + 1
        item = np.repeat(np.arange(len(starts)), count)
        target = item if where is None else np.asarray(where)[item]
        number = first[item] + np.arange(len(item)) - np.repeat(np.cumsum(count) - count, count)
        low = np.maximum(starts[item], number * chunk)
        high = np.minimum(starts[item] + span, (number + 1) * chunk)
        order = np.argsort(number, kind="stable")
        buffer = np.empty((chunk, *self.row), np.uint8)
        held = -1
        columns = (target, number, low - number * chunk, low - starts[item], high - low)
        for i, n, inside, to, take in zip(*(column[order].tolist() for column in columns), strict=True):
            if take == chunk and n != held:
                self.read_chunk(n, out[i, to : to + chunk])
                continue
            if n != held:
                self.read_chunk(n, buffer)
                held = n
            out[i, to : to + take] = buffer[inside : inside + take]
        return out

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Read frames `start` to `stop`, which mean the same as in a slice, (stop - start, H, W, C)."""
        start, stop, _ = slice(start, stop).indices(self._length)
        return (
            self.read_spans(np.array([start]), stop - start)[0] if stop > start else np.empty((0, *self.row), np.uint8)
        )

    def __getitem__(self, key: Any) -> np.ndarray:
        """Index like a NumPy array, with any key that NumPy accepts; only the selected rows are read."""
        return pick(key, self.shape, self._rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError(
                f"The frames of {self.path} are read from disk, so they cannot become an array without a copy."
            )
        return np.asarray(self.read(), dtype)

    def _rows(self, rows: slice | np.ndarray) -> np.ndarray:
        return self.read(rows.start, rows.stop) if isinstance(rows, slice) else self.read_spans(rows, 1)[:, 0]

    def read_chunk(self, number: int, out: np.ndarray) -> None:
        """Decode one chunk into (chunk, H, W, C).

        Raises:
            DamagedData: The chunk does not match its checksum.
        """
        try:
            self._decode(self.encoded(number), out)
        except DamagedData as error:
            raise DamagedData(self.describe(number, str(error))) from None

    def encoded(self, number: int) -> bytes:
        """Read the encoded bytes of one chunk.

        Raises:
            DamagedData: The chunk was never written, or its shard is missing or damaged.
        """
        shard, inner = divmod(number, self.shard // self.chunk)
        file = self._file(shard)
        offset, nbytes = self._index(shard, file)[inner].tolist()
        if offset == MISSING:
            raise DamagedData("it was never written")
        return file.read(offset, nbytes)

    def describe(self, number: int, what: str) -> str:
        """Describe a damaged chunk in one sentence.

        Args:
            number: Number of the chunk.
            what: What is wrong with it.
        """
        shard, inner = divmod(number, self.shard // self.chunk)
        rows = f"{number * self.chunk} to {min((number + 1) * self.chunk, self._length) - 1}"
        return (
            f"Chunk {inner} of shard {shard} of {self.path} (rows {rows}) is damaged: {what} "
            f"({self.shard_path(shard)})."
        )

    def shard_path(self, shard: int) -> Path:
        """Path of the file of one shard."""
        return self.path.joinpath("c", str(shard), *("0" for _ in self.row))

    def index(self, shard: int) -> np.ndarray:
        """Read offset and size of the chunks of one shard, (chunks, 2) uint64.

        Raises:
            DamagedData: The shard is missing, or its index does not match its checksum.
        """
        return self._index(shard, self._file(shard))

    def _index(self, shard: int, file: "_ShardFile") -> np.ndarray:
        # an append replaces the file of the last shard, so a kept index is valid only for the file it was read from
        version, index = self._indices.get(shard, (None, None))
        if index is None or version != file.version:
            entries = self.shard // self.chunk
            data = file.read(max(0, file.size - 16 * entries - 4), 16 * entries + 4)
            if len(data) != 16 * entries + 4 or crc32c(data[:-4]) != int.from_bytes(data[-4:], "little"):
                raise DamagedData(
                    f"The index of shard {shard} of {self.path} is damaged: it does not match its checksum "
                    f"({self.shard_path(shard)})."
                )
            index = np.frombuffer(data[:-4], "<u8").reshape(entries, 2)
            self._indices[shard] = (file.version, index)
        return index

    def _file(self, shard: int) -> "_ShardFile":
        with self._guard:
            file = self._files.get(shard)
            if file is None:
                file = _ShardFile(self.shard_path(shard))
                self._files[shard] = file
                if len(self._files) > OPEN_SHARDS:
                    self._files.popitem(last=False)
            else:
                self._files.move_to_end(shard)
            return file

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "length": self._length}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"], state["length"])  # type: ignore[misc]


class _ShardFile:
    """An open shard, which is closed when it is garbage-collected."""

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise DamagedData(f"A shard is missing: {path} does not exist.") from None
        stat = os.fstat(self._descriptor)
        self.size = stat.st_size
        self.version = (stat.st_ino, stat.st_mtime_ns, stat.st_size)

    def read(self, offset: int, nbytes: int) -> bytes:
        return os.pread(self._descriptor, nbytes, offset)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)
