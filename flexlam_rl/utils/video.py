"""Video files, written and read with PyAV, which brings its own FFmpeg."""

import contextlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flexlam_rl.utils.files import atomic_path
from flexlam_rl.utils.pictures import Picture, shown

# the options switch off decisions by look-ahead: for small pictures x264 bases them on uninitialized memory, so that
# the same pictures would not always give the same file
LOSSY = ("libx264", "yuv420p", {"crf": "23", "x264-params": "mbtree=0:b-adapt=0"})
LOSSLESS = ("libx264rgb", "rgb24", {"qp": "0"})  # H.264 of the colors themselves, without rounding to luma and chroma


class TimedFrame(NamedTuple):
    """A frame of a video file.

    Attributes:
        time: Seconds since the beginning of the file.
        frame: (H, W, 3) uint8.
    """

    time: Fraction
    frame: Picture


def write_video(path: Path | str, pictures: Iterable[Picture], fps: float = 15.0, *, lossless: bool = False) -> int:
    """Write pictures of one size as an H.264 mp4 file, one at a time as the iterable yields them.

    The same pictures give the same file on every machine. In a lossy video, an odd height or width is padded by one row
    or column, because the pixel format that all players support needs even sizes.

    Args:
        path: The file; it appears under its name when it is complete.
        pictures: (H, W, C) uint8 with C = 1 or 3; one channel is shown as gray.
        fps: Frames per second.
        lossless: Keep every pixel value. The file is larger, and some players cannot show it.

    Returns:
        The number of pictures.

    Raises:
        OSError: The folder does not exist or cannot be written.
        ValueError: A picture does not have 1 or 3 channels, or sizes differ.
    """
    import av

    codec, pixels, options = LOSSLESS if lossless else LOSSY
    count, stream = 0, None
    with (
        atomic_path(Path(path), ending=".mp4") as temporary,
        _closed(av.open(str(temporary), "w", format="mp4")) as file,
    ):
        for picture in pictures:
            height, width, channels = picture.shape
            if channels not in (1, 3):  # a fourth would be dropped
                raise ValueError(
                    f"Cannot write {str(path)!r}: pictures of a video have 1 or 3 channels, these have {channels}."
                )
            if not lossless:
                height, width = height + height % 2, width + width % 2
                picture = np.pad(
                    picture, ((0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0)), mode="edge"
                )
            if stream is None:
                stream = file.add_stream(codec, rate=Fraction(fps).limit_denominator(1_000_000), options=dict(options))
                stream.width, stream.height, stream.pix_fmt = width, height, pixels
                stream.codec_context.thread_count = 1  # with more threads, the result would depend on the machine
            if (height, width) != (stream.height, stream.width):
                raise ValueError(
                    f"Cannot write {str(path)!r}: picture {count} is {width}x{height}, the first "
                    f"{stream.width}x{stream.height}; expected one size."
                )
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shown(picture)), format="rgb24")
            file.mux(stream.encode(frame))
            count += 1
        if stream is not None:
            file.mux(stream.encode(None))
    return count


class VideoReader:
    """Reads a video file frame by frame; each iteration starts at the beginning.

    Args:
        path: Any file that FFmpeg can read: mp4, webm, gif, mkv, avi, mov, ...

    Attributes:
        path: The file.
        fps: Average frames per second according to the file; None if it does not say.
        seconds: Duration according to the file; None if it does not say.

    Raises:
        ValueError: The file cannot be opened, or contains no video.
    """

    def __init__(self, path: Path | str) -> None:
        import av

        self.path = Path(path)
        if not self.path.is_file():
            raise ValueError(f"{self.path} is no file: expected a video.")
        try:
            with av.open(str(self.path)) as file:
                if not file.streams.video:
                    raise ValueError(f"{self.path} holds no video: expected a file with pictures in it.")
                rate = file.streams.video[0].average_rate or file.streams.video[0].guessed_rate
                length = file.duration
        except av.error.FFmpegError as error:
            raise ValueError(f"{self.path} does not open as a video: {error.strerror}.") from None
        self.fps: Fraction | None = Fraction(rate) if rate else None
        self.seconds: float | None = length / av.time_base if length else None

    def __iter__(self) -> Iterator[TimedFrame]:
        """Decode all frames in the order of their times, rotated as the file says.

        Raises:
            ValueError: There are no frames, a part of the file cannot be decoded, or the frame size changes.
        """
        import av

        count, size, first = 0, None, Fraction(0)
        try:
            with av.open(str(self.path)) as file:
                for decoded in file.decode(file.streams.video[0]):
                    frame = self._upright(decoded)
                    if size not in (None, frame.shape):
                        now, before = (f"{shape[1]}x{shape[0]}" for shape in (frame.shape, size))
                        raise ValueError(
                            f"{self.path} changes its size at frame {count}, from {before} to {now}: expected one size."
                        )
                    size = frame.shape
                    time = self._time(decoded, count)
                    first = time if not count else first
                    yield TimedFrame(time - first, frame)
                    count += 1
        except av.error.FFmpegError as error:
            raise ValueError(f"{self.path} cannot be decoded after frame {count - 1}: {error.strerror}.") from None
        if not count:
            raise ValueError(f"{self.path} has no frame: expected a video with at least one.")

    def _time(self, frame: Any, count: int) -> Fraction:
        if frame.pts is not None and frame.time_base:
            return frame.pts * Fraction(frame.time_base)
        if self.fps is None:
            raise ValueError(f"{self.path} gives neither a time for frame {count} nor a number of frames per second.")
        return count / self.fps

    def _upright(self, frame: Any) -> Picture:
        turns, rest = divmod(int(frame.rotation), 90)
        if rest:
            raise ValueError(f"{self.path} is to be rotated by {frame.rotation} degrees: expected a multiple of 90.")
        return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))


@contextlib.contextmanager
def _closed(file: Any) -> Iterator[Any]:
    """Close a file after writing to it, whatever happens; an error in closing does not hide an earlier error."""
    try:
        yield file
    except BaseException:
        with contextlib.suppress(Exception):
            file.close()
        raise
    file.close()
