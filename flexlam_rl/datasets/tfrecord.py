"""Reading TFRecord files of `tf.train.Example` without TensorFlow.

A TFRecord file is a sequence of (length u64, masked crc32c of the length u32, data, masked crc32c of the data u32). An
Example is a protocol buffer that maps names to lists of bytes, floats or integers.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.datasets.codecs import crc32c
from flexlam_rl.utils.errors import DamagedData

Value = np.ndarray | list[bytes]


def read_records(path: str | Path) -> Iterator[tuple[bytes, int]]:
    """Yield the records of a file, gzip-compressed or not, each with the number of the file's bytes read so far.

    Raises:
        DamagedData: A record does not match its checksum, or the file ends within a record.
    """
    path = Path(path)
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with open(path, "rb") as raw, gzip.GzipFile(fileobj=raw) if packed else raw as file:
        number = 0
        while head := _read(file, 12, path, number):
            length = int.from_bytes(head[:8], "little")
            if len(head) < 12 or _masked(head[:8]) != int.from_bytes(head[8:], "little"):
                raise DamagedData(f"Record {number} of {path} is damaged: its length does not match its checksum.")
            data, tail = _read(file, length, path, number), _read(file, 4, path, number)
            if len(data) < length or len(tail) < 4 or _masked(data) != int.from_bytes(tail, "little"):
                raise DamagedData(f"Record {number} of {path} is damaged: it does not match its checksum.")
            yield data, raw.tell()
            number += 1


def _read(file: gzip.GzipFile | io.BufferedReader, size: int, path: Path, number: int) -> bytes:
    try:
        return file.read(size)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DamagedData(f"Record {number} of {path} is damaged: it cannot be decompressed ({error}).") from None


def parse_example(data: bytes) -> dict[str, Value]:
    """Parse a serialized `tf.train.Example` into features by name: float32 or int64 arrays, or lists of bytes."""
    found: dict[str, Value] = {}
    for field, features in _fields(data):
        if field != 1:
            continue
        for number, entry in _fields(features):
            if number == 1:
                parts = dict(_fields(entry))
                found[parts[1].decode()] = _feature(parts.get(2, b""))
    return found


def _masked(data: bytes) -> int:
    value = crc32c(data)
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _feature(data: bytes) -> Value:
    for kind, content in _fields(data):
        if kind == 1:
            return [value for number, value in _fields(content) if number == 1]
        if kind == 2:
            # either packed, or one field per value
            return np.concatenate(
                [np.frombuffer(value, "<f4") for _, value in _fields(content)] or [np.empty(0, "<f4")]
            )
        if kind == 3:
            values: list[int] = []
            for _, value in _fields(content):
                values += _varints(value) if isinstance(value, bytes) else [value]
            return np.array(values, np.uint64).astype(np.int64)
    return []


def _varints(data: bytes) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (number, value) of each field of a message; a value is an int for varints, else bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = {1: 8, 5: 4}[kind]
        else:
            raise DamagedData(f"A record has a field of wire type {kind}: it is no tf.train.Example.")
        if at + size > len(data):
            raise DamagedData("A record ends within a field: it is no tf.train.Example.")
        yield tag >> 3, data[at : at + size]
        at += size
