"""Small arrays of a store, read in full or in part from their chunk files."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.datasets.codecs import decoder
from flexlam_rl.utils.errors import DamagedData
from flexlam_rl.utils.files import read_json


class Column:
    """One array of shape (N, ...), chunked along its first axis.

    Args:
        path: Folder of the Zarr array.
        length: Number of committed rows; rows beyond them are ignored.
    """

    def __init__(self, path: Path, length: int) -> None:
        metadata: dict[str, Any] = read_json(path / "zarr.json")
        self.path = path
        self.dtype = np.dtype(metadata["data_type"])
        self.chunk = int(metadata["chunk_grid"]["configuration"]["chunk_shape"][0])
        self.row = tuple(metadata["shape"][1:])
        self.codecs: list[dict[str, Any]] = metadata["codecs"]
        self._length = length
        self._whole: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array, (N, ...)."""
        return (self._length, *self.row)

    def __len__(self) -> int:
        return self._length

    def chunk_file(self, number: int) -> Path:
        """Path of the file of one chunk."""
        return self.path.joinpath("c", str(number), *("0" for _ in self.row))

    def read_chunk(self, number: int) -> np.ndarray:
        """Read one chunk, including rows beyond the committed ones.

        Raises:
            DamagedData: Its file is missing or does not match its checksum.
        """
        file = self.chunk_file(number)
        out = np.empty((self.chunk, *self.row), self.dtype)
        try:
            decoder(self.codecs, str(self.path))(file.read_bytes(), out)
        except FileNotFoundError:
            raise DamagedData(f"Chunk {number} of {self.path} is missing: {file} does not exist.") from None
        except DamagedData as error:
            raise DamagedData(f"Chunk {number} of {self.path} is damaged: {error} ({file}).") from None
        return out

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Read rows `start` to `stop`, which mean the same as in a slice, into a new array."""
        start, stop, _ = slice(start, stop).indices(self._length)
        stop = max(start, stop)
        out = np.empty((stop - start, *self.row), self.dtype)
        for number in range(start // self.chunk, math.ceil(stop / self.chunk)):
            first = number * self.chunk
            low, high = max(start, first), min(stop, first + self.chunk)
            out[low - start : high - start] = self.read_chunk(number)[low - first : high - first]
        return out

    def whole(self) -> np.ndarray:
        """Read all rows once and keep them; the array is read-only."""
        if self._whole is None:
            self._whole = self.read()
            self._whole.flags.writeable = False
        return self._whole

    def __getitem__(self, key: Any) -> Any:
        """Index like a NumPy array. A slice of step 1 reads only its chunks; other keys load the whole column once."""
        if isinstance(key, slice) and self._whole is None:
            start, stop, step = key.indices(self._length)
            if step == 1:
                return self.read(start, stop)
        return self.whole()[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.whole(), dtype, copy=copy)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_whole": None}
