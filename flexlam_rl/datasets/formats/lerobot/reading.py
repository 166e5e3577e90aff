"""Reading of LeRobot datasets, episode by episode."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flexlam_rl.datasets.formats.lerobot import layout
from flexlam_rl.datasets.pictures import decode_all
from flexlam_rl.utils.errors import StoreError
from flexlam_rl.utils.video import TimedFrame, VideoReader


class Dataset:
    """A LeRobot dataset of version 3 on disk.

    Args:
        folder: Folder that contains `meta/info.json`.

    Attributes:
        folder: The folder.
        info: Content of `meta/info.json`.
        features: Descriptions of the features by name.
        tasks: Task texts by number.
        episodes: The table of episodes.
        fps: Frames per second.

    Raises:
        StoreError: The folder contains no such dataset, one of another version, or an incomplete one.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.info = layout.read_info(self.folder)
        self.features: dict[str, dict[str, Any]] = self.info["features"]
        self.tasks = layout.read_tasks(self.folder)
        self.episodes = layout.read_episodes(self.folder)
        self.fps = float(self.info["fps"])
        self._file: tuple[Path, pa.Table] | None = None
        self._videos: dict[str, _VideoFrames] = {}

    @property
    def cameras(self) -> list[str]:
        """Names of the features with pictures."""
        return [name for name, feature in self.features.items() if feature["dtype"] in layout.CAMERAS]

    def whole(self, name: str) -> np.ndarray:
        """Read one feature of all episodes, (N, D)."""
        parts = []
        for file in dict.fromkeys(self._data_file(episode) for episode in self.episodes):
            parts.append(_numbers(pq.read_table(file, columns=[name])[name]))
        return np.concatenate([part.reshape(len(part), -1) for part in parts])

    def rows(self, number: int, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Read numeric features of an episode, (R, ...) each.

        Raises:
            StoreError: The number of rows in the data file differs from the one in the table of episodes.
        """
        episode = self.episodes[number]
        table = self._table(self._data_file(episode))
        table = table.filter(pc.equal(table["episode_index"], episode["episode_index"]))
        if len(table) != episode["length"]:
            raise StoreError(
                f"Episode {number} of {self.folder} has {len(table)} rows of data: expected {episode['length']}."
            )
        table = table.sort_by("frame_index")
        return {name: _numbers(table[name]) for name in names}

    def frames(self, number: int, camera: str) -> np.ndarray:
        """Read the pictures of an episode, (R, H, W, C) uint8.

        Raises:
            ValueError: A video lacks one of the pictures.
        """
        episode = self.episodes[number]
        if self.features[camera]["dtype"] == "image":
            table = self._table(self._data_file(episode))
            table = table.filter(pc.equal(table["episode_index"], episode["episode_index"])).sort_by("frame_index")
            return decode_all([picture["bytes"] for picture in table[camera].to_pylist()])
        place = {name: episode[f"videos/{camera}/{name}"] for name in ("chunk_index", "file_index")}
        file = self.folder / self.info["video_path"].format(video_key=camera, **place)
        if camera not in self._videos:
            self._videos[camera] = _VideoFrames(self.fps)
        start = episode[f"videos/{camera}/from_timestamp"]
        return self._videos[camera].read(file, start, episode["length"])

    def _data_file(self, episode: dict[str, Any]) -> Path:
        place = {name: episode[f"data/{name}"] for name in ("chunk_index", "file_index")}
        return self.folder / self.info["data_path"].format(**place)

    def _table(self, file: Path) -> pa.Table:
        if self._file is None or self._file[0] != file:
            self._file = (file, pq.read_table(file))
        return self._file[1]


class _VideoFrames:
    """Reads frames of a camera's videos forward, because the episodes of a file follow each other in it."""

    def __init__(self, fps: float) -> None:
        self._half = Fraction(1) / (2 * Fraction(fps).limit_denominator(1_000_000))
        self._file: Path | None = None
        self._stream: Iterator[TimedFrame] = iter(())
        self._now: TimedFrame | None = None
        self._next: TimedFrame | None = None

    def read(self, file: Path, start: float, count: int) -> np.ndarray:
        """Read `count` frames: the ones nearest to the times start, start + 1/fps, start + 2/fps, ..."""
        times = [Fraction(start).limit_denominator(1_000_000) + 2 * self._half * i for i in range(count)]
        if file != self._file or self._now is None or times[0] < self._now.time - self._half:
            self._file, self._stream = file, iter(VideoReader(file))
            self._now, self._next = next(self._stream), next(self._stream, None)
        frames = []
        for time in times:
            while self._next is not None and self._next.time <= time + self._half:
                self._now, self._next = self._next, next(self._stream, None)
            if abs(self._now.time - time) > self._half:
                raise ValueError(f"{file} has no frame at {float(time):.3f} s: expected one for an episode.")
            frames.append(self._now.frame)
        return np.stack(frames)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Convert a column to an array (R, ...)."""
    if column.null_count:
        raise ValueError("A feature of a LeRobot dataset holds a null: expected numbers in every row.")
    chunk = column.combine_chunks()
    if isinstance(chunk, pa.ChunkedArray):
        chunk = chunk.chunk(0) if chunk.num_chunks else pa.array([], column.type)
    if isinstance(chunk, pa.ExtensionArray):
        chunk = chunk.storage
    if not pa.types.is_nested(chunk.type):
        return chunk.to_numpy(zero_copy_only=False)
    rows = chunk.to_pylist()
    inner: Any = chunk.type
    while pa.types.is_nested(inner):
        inner = inner.value_type
    found = np.array(rows, dtype=inner.to_pandas_dtype())
    return found
