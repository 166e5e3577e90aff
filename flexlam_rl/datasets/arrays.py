"""Appending to the Zarr arrays of a store.

Each chunk or shard is written as a whole and replaces its file in one rename, so a killed append leaves earlier rows as
they were. No thread or lock outlives a call, so a process may fork between calls.
"""

import functools
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.datasets.codecs import crc32c, encoder
from flexlam_rl.datasets.columns import Column
from flexlam_rl.datasets.shards import MISSING, FrameReader
from flexlam_rl.utils.files import atomic_file, read_json, sweep, write_json

THREADS = 16  # compression releases the GIL, and syncing many files at once takes a disk no longer than syncing one


def create_arrays(root: Path, arrays: Mapping[str, dict[str, Any]]) -> None:
    """Create arrays without rows, replacing anything that exists in their places.

    Args:
        root: Folder of the store.
        arrays: Maps each name to shape, data type, chunks and codecs in Zarr v3's metadata format.
    """

    def create(name: str) -> None:
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir(parents=True)
        rest = {"chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}}, "attributes": {}}
        empty = np.zeros((), arrays[name]["data_type"]).item()
        write_json(
            root / name / "zarr.json",
            {"zarr_format": 3, "node_type": "array", **arrays[name], **rest, "fill_value": empty},
        )

    with ThreadPoolExecutor(THREADS, "flexlam-write") as pool:
        for _ in pool.map(create, arrays):
            pass


def append_rows(root: Path, begin: Mapping[str, int], rows: Mapping[str, np.ndarray]) -> None:
    """Write rows into the arrays of a store, replacing rows that are already there.

    Args:
        root: Folder of the store.
        begin: First row to write, by array; earlier rows are kept.
        rows: The rows, by array, in the array's type.

    Raises:
        DamagedData: A chunk that has to be extended cannot be read.
    """
    with ThreadPoolExecutor(THREADS, "flexlam-write") as pool:
        for _ in pool.map(lambda job: job(), list(_jobs(root, begin, rows, pool))):
            pass


def discard_rows(path: Path, length: int, chunk: int) -> None:
    """Remove an array's files beyond the committed rows, and temporary files of a killed writer.

    Args:
        path: Folder of the array.
        length: Number of committed rows.
        chunk: Rows per file.
    """
    sweep(path)
    sweep(path / "c")
    kept = math.ceil(length / chunk)
    for entry in (path / "c").glob("[0-9]*"):
        if entry.name.isdigit() and int(entry.name) >= kept:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        elif entry.name == str(kept - 1) and entry.is_dir():
            for left in entry.rglob(".*.tmp"):
                left.unlink(missing_ok=True)


def rows_a_file(metadata: dict[str, Any]) -> int:
    """Number of rows per file of an array, from its Zarr metadata."""
    return int(metadata["chunk_grid"]["configuration"]["chunk_shape"][0])


def _jobs(
    root: Path, begin: Mapping[str, int], rows: Mapping[str, np.ndarray], pool: ThreadPoolExecutor
) -> Iterator[Callable[[], None]]:
    for name, values in rows.items():
        yield functools.partial(_grow, root / name / "zarr.json", begin[name] + len(values))
        if len(values):
            yield from (_shards if name == "frames" else _chunks)(
                root / name, begin[name], np.ascontiguousarray(values), pool
            )


def _grow(file: Path, length: int) -> None:
    metadata = read_json(file)
    write_json(file, {**metadata, "shape": [length, *metadata["shape"][1:]]})


def _chunks(path: Path, start: int, values: np.ndarray, pool: ThreadPoolExecutor) -> Iterator[Callable[[], None]]:
    """Make functions that each write one chunk of a column."""
    column = Column(path, start)
    encode = encoder(column.codecs, str(path))
    for number in range(start // column.chunk, math.ceil((start + len(values)) / column.chunk)):

        def write(number: int = number) -> None:
            first = number * column.chunk
            data = np.zeros((column.chunk, *column.row), column.dtype)
            if first < start:
                data[: start - first] = column.read_chunk(number)[: start - first]
            _place(data, first, start, values)
            _save(column.chunk_file(number), encode(data))

        yield write


def _shards(path: Path, start: int, values: np.ndarray, pool: ThreadPoolExecutor) -> Iterator[Callable[[], None]]:
    """Make functions that each write one shard of the frames; new chunks are compressed before the first is yielded."""
    frames = FrameReader(path, start)
    encode = encoder(frames.codecs, str(path))
    size, entries = frames.chunk, frames.shard // frames.chunk

    def chunk(number: int) -> bytes:
        data = np.zeros((size, *frames.row), np.uint8)
        if number * size < start:
            frames.read_chunk(number, data)
            data[start - number * size :] = 0
        _place(data, number * size, start, values)
        return encode(data)

    fresh = range(start // size, math.ceil((start + len(values)) / size))
    encoded = dict(zip(fresh, pool.map(chunk, fresh), strict=True))
    for shard in range(fresh[0] // entries, fresh[-1] // entries + 1):
        old = range(shard * entries, min((shard + 1) * entries, fresh[0]))

        def write(shard: int = shard, old: range = old) -> None:
            parts = {number: frames.encoded(number) for number in old}
            parts |= {number: encoded[number] for number in fresh if number // entries == shard}
            index = np.full((entries, 2), MISSING, "<u8")
            offset = 0
            for number, part in parts.items():
                index[number % entries] = offset, len(part)
                offset += len(part)
            end = index.tobytes()
            _save(frames.shard_path(shard), *parts.values(), end, crc32c(end).to_bytes(4, "little"))

        yield write


def _place(data: np.ndarray, first: int, start: int, values: np.ndarray) -> None:
    """Copy those of `values` (rows from `start` on) that belong to the chunk `data` (rows from `first` on)."""
    low, high = max(first, start), min(first + len(data), start + len(values))
    data[low - first : high - first] = values[low - start : high - start]


def _save(file: Path, *parts: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(file) as opened:
        for part in parts:
            opened.write(part)
