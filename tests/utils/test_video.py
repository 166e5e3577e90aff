"""Video files: what is written comes back, and a bad one gets a sentence."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from flexlam_rl.utils.video import VideoReader, write_video


def blocks(seed: int, height: int = 32, width: int = 48) -> np.ndarray:
    """A picture of blocks of 8 pixels in random colors."""
    colors = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return colors.repeat(8, 0).repeat(8, 1)


def encode(path: Path, codec: str, pixels: str, pictures: list[np.ndarray], fps: int = 10, turn: int = 0) -> None:
    """Write a video as other programs do."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=fps)
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], pixels
        if turn:
            stream.set_display_rotation(turn)
        for picture in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))


def test_a_lossless_video_is_exact_and_has_its_times(tmp_path: Path) -> None:
    pictures = [blocks(i, 33 // 8 * 8 + 8, 40)[:33, :37] for i in range(4)]
    assert write_video(tmp_path / "a.mp4", iter(pictures), fps=1.6, lossless=True) == 4
    reader = VideoReader(tmp_path / "a.mp4")
    times, frames = zip(*reader, strict=True)
    np.testing.assert_array_equal(np.stack(frames), np.stack(pictures))
    assert reader.fps == Fraction(8, 5) and times == tuple(Fraction(5 * i, 8) for i in range(4))


def test_a_video_for_every_player_has_an_even_size_and_keeps_its_colors(tmp_path: Path) -> None:
    pictures = [np.full((33, 41, 3), value, np.uint8) for value in (0, 128, 255)]
    assert write_video(tmp_path / "a.mp4", iter(pictures), fps=5) == 3
    frames = [frame for _, frame in VideoReader(tmp_path / "a.mp4")]
    assert [frame.shape for frame in frames] == [(34, 42, 3)] * 3
    assert all(abs(int(frame.mean()) - value) <= 4 for frame, value in zip(frames, (0, 128, 255), strict=True))
    again = tmp_path / "b.mp4"
    write_video(again, iter(pictures), fps=5)
    assert again.read_bytes() == (tmp_path / "a.mp4").read_bytes()


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [("a.webm", "libvpx-vp9", "yuv420p"), ("a.gif", "gif", "rgb8"), ("a.mkv", "ffv1", "bgr0")],
)
def test_formats_of_others_open(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    pictures = [blocks(i) for i in range(3)]
    encode(tmp_path / name, codec, pixels, pictures)
    times, frames = zip(*VideoReader(tmp_path / name), strict=True)
    assert [float(time) for time in times] == pytest.approx([0, 0.1, 0.2], abs=0.005)
    for frame, picture in zip(frames, pictures, strict=True):
        assert np.corrcoef(frame.ravel(), picture.ravel())[0, 1] > 0.8


def test_a_video_of_a_phone_on_its_side_stands_upright(tmp_path: Path) -> None:
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:, :32] = 255  # bright on the left: below, when turned to the left
    encode(tmp_path / "a.mp4", "libx264", "yuv420p", [picture, picture], turn=90)
    frame = next(iter(VideoReader(tmp_path / "a.mp4"))).frame
    assert frame.shape == (64, 32, 3) and frame[:24].mean() < 20 and frame[40:].mean() > 235


def test_a_video_that_cannot_be_read_gets_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "junk.mp4").write_bytes(b"junk" * 100)
    encode(tmp_path / "one.h264", "libx264", "yuv420p", [blocks(0)])
    encode(tmp_path / "two.h264", "libx264", "yuv420p", [blocks(0, 48, 64)])
    (tmp_path / "changes.h264").write_bytes((tmp_path / "one.h264").read_bytes() + (tmp_path / "two.h264").read_bytes())
    with av.open(str(tmp_path / "sound.wav"), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        file.mux(stream.encode(sound))
    write_video(tmp_path / "cut.mp4", (blocks(i) for i in range(30)))
    data = (tmp_path / "cut.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    for name, sentence in {
        "nowhere.mp4": "is no file: expected a video",
        "junk.mp4": "does not open as a video",
        "cut.mp4": "does not open as a video",
        "sound.wav": "holds no video",
        "changes.h264": "changes its size at frame 1, from 48x32 to 64x48",
    }.items():
        with pytest.raises(ValueError, match=f"{name}.*{sentence}"):
            list(VideoReader(tmp_path / name))


def test_a_failing_writer_leaves_nothing_behind(tmp_path: Path) -> None:
    def pictures() -> Iterator[np.ndarray]:
        yield blocks(1)
        raise RuntimeError("the environment broke")

    with pytest.raises(RuntimeError, match="broke"):
        write_video(tmp_path / "a.mp4", pictures())
    with pytest.raises(ValueError, match="picture 1 is 64x48, the first 48x32"):
        write_video(tmp_path / "a.mp4", iter([blocks(0), blocks(0, 48, 64)]))
    assert list(tmp_path.iterdir()) == []
