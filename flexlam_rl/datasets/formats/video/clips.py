"""What counts as a video: files that FFmpeg opens, and folders of numbered pictures."""

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
    """One video.

    Attributes:
        name: Path in the folder of the import.
        nbytes: Its size on disk.
        fps: Frames per second; None for unknown.
        seconds: Its length; None for unknown.
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
        """Frames per second, on average."""
        return self._reader.fps

    @property
    def seconds(self) -> float | None:
        """Length, where the file says it."""
        return self._reader.seconds

    def __iter__(self) -> Iterator[TimedFrame]:
        return iter(self._reader)


@dataclass(frozen=True)
class FolderClip:
    """A folder of pictures, in the order of the numbers in their names.

    Attributes:
        fps: Pictures per second; None for unknown, where they have no times either.
    """

    name: str
    files: tuple[Path, ...]
    nbytes: int
    fps: Fraction | None

    @property
    def seconds(self) -> float | None:
        """Length, where the rate is known."""
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
    """Find all videos in a folder and the folders below it.

    Args:
        folder: Searched; hidden files and folders are not.
        picture_fps: Pictures per second of folders of pictures.

    Returns:
        The videos in the order of their names, where numbers count as numbers; and names of other files.

    Raises:
        ValueError: There is none.
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
    """A key that sorts "frame 2" before "frame 10"."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]


def _colors(picture: np.ndarray, file: Path) -> np.ndarray:
    """A decoded picture as red, green, blue."""
    channels = picture.shape[-1]
    if channels in (2, 4):
        if picture[..., -1].min() < 255:
            raise ValueError(f"{file} has transparent pixels: expected an opaque picture.")
        picture = picture[..., :-1]
    return np.ascontiguousarray(picture.repeat(3, axis=-1) if picture.shape[-1] == 1 else picture)
