"""Videos to import: files that FFmpeg can read, and folders of numbered pictures."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from flexlam_rl.datasets.pictures import decode
from flexlam_rl.utils.video import TimedFrame, VideoReader

VIDEOS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif")
PICTURES = (".png", ".jpg", ".jpeg")


class Clip(Protocol):
    """One video; iterating yields its frames.

    Attributes:
        name: Path relative to the imported folder.
        nbytes: Size on disk in bytes.
        fps: Frames per second; None if unknown.
        seconds: Duration in seconds; None if unknown.
    """

    @property
    def name(self) -> str: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def fps(self) -> Fraction | None: ...
    @property
    def seconds(self) -> float | None: ...
    def __iter__(self) -> Iterator[TimedFrame]: ...


@dataclass(frozen=True)
class FileClip:
    """A video file."""

    name: str
    path: Path
    nbytes: int

    @cached_property
    def _reader(self) -> VideoReader:
        return VideoReader(self.path)

    @property
    def fps(self) -> Fraction | None:
        """Average frames per second; None if the file does not say it."""
        return self._reader.fps

    @property
    def seconds(self) -> float | None:
        """Duration in seconds; None if the file does not say it."""
        return self._reader.seconds

    def __iter__(self) -> Iterator[TimedFrame]:
        return iter(self._reader)


@dataclass(frozen=True)
class FolderClip:
    """A folder of pictures, in the order of the numbers in their names.

    Attributes:
        fps: Pictures per second; None if unknown.
    """

    name: str
    files: tuple[Path, ...]
    nbytes: int
    fps: Fraction | None

    @property
    def seconds(self) -> float | None:
        """Duration in seconds; None if `fps` is unknown."""
        return None if self.fps is None else float(len(self.files) / self.fps)

    def __iter__(self) -> Iterator[TimedFrame]:
        first: tuple[int, ...] | None = None
        for number, file in enumerate(self.files):
            try:
                picture = decode(file.read_bytes())
            except ValueError as error:
                raise ValueError(f"{file}: {error}") from None
            frame = _colors(picture, file)
            if first not in (None, frame.shape):
                sizes = [f"{shape[1]}x{shape[0]}" for shape in (first, frame.shape) if shape]
                raise ValueError(
                    f"{file.parent} changes its size at {file.name}, from {sizes[0]} to {sizes[1]}: expected one size."
                )
            first = frame.shape
            yield TimedFrame(Fraction(number) / (self.fps or 1), frame)


def find_clips(folder: Path, picture_fps: float | None = None) -> tuple[list[Clip], list[str]]:
    """Find all videos in a folder and its subfolders, except hidden ones.

    Args:
        folder: Folder to search.
        picture_fps: Pictures per second in folders of pictures.

    Returns:
        The videos, sorted by name with numbers in numeric order, and the names of all other files.

    Raises:
        ValueError: There are no videos.
    """
    rate = None if picture_fps is None else Fraction(picture_fps).limit_denominator(1_000_000)
    clips: list[Clip] = []
    others: list[str] = []
    pictures: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("*"), key=lambda path: _natural(str(path.relative_to(folder)))):
        name = path.relative_to(folder)
        if not path.is_file() or any(part.startswith(".") for part in name.parts):
            continue
        if path.suffix.lower() in VIDEOS:
            clips.append(FileClip(name.as_posix(), path, path.stat().st_size))
        elif path.suffix.lower() in PICTURES:
            pictures.setdefault(path.parent, []).append(path)
        else:
            others.append(name.as_posix())
    for parent, files in pictures.items():
        nbytes = sum(file.stat().st_size for file in files)
        clips.append(FolderClip(parent.relative_to(folder).as_posix(), tuple(files), nbytes, rate))
    if not clips:
        raise ValueError(
            f"{folder} holds no video: expected {', '.join(ending[1:] for ending in VIDEOS)}, or folders of PNG or "
            "JPEG pictures."
        )
    return sorted(clips, key=lambda clip: _natural(clip.name)), others


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Make a sort key that puts "frame 2" before "frame 10"."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]


def _colors(picture: np.ndarray, file: Path) -> np.ndarray:
    """Convert a decoded picture to RGB."""
    channels = picture.shape[-1]
    if channels in (2, 4):
        if picture[..., -1].min() < 255:
            raise ValueError(f"{file} has transparent pixels: expected an opaque picture.")
        picture = picture[..., :-1]
    return np.ascontiguousarray(picture.repeat(3, axis=-1) if picture.shape[-1] == 1 else picture)
