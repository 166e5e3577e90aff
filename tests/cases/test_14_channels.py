"""Frames of one, three and four channels through every exporter and viewer: right, or refused in a sentence."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexlam_rl.cli import main
from flexlam_rl.datasets import Episode, Origin, RolloutWriter
from flexlam_rl.datasets.formats.parquet import export_parquet, import_parquet
from flexlam_rl.datasets.formats.teco import import_teco
from flexlam_rl.datasets.pictures import decode, decode_all, encode_png
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.video import VideoReader

ORIGIN = Origin(engine="x", action_table=((0,) * 7,) * 15)
GAP = 4
Make = Callable[[int], RolloutStore]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A store of 32x32 frames with so many channels."""

    def write(channels: int) -> RolloutStore:
        frames = np.random.default_rng(0).integers(0, 256, (5, 32, 32, channels), dtype=np.uint8)
        with RolloutWriter(tmp_path / "data", "x", "train", ORIGIN) as writer:
            writer.append_episode(
                Episode(frames, np.zeros(4, np.int16), np.zeros(4, np.float32), truncated=True, key=0)
            )
        return RolloutStore(writer.path)

    return write


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_parquet(make: Make, tmp_path: Path, channels: int) -> None:
    store = make(channels)
    back = import_parquet(
        export_parquet(store, tmp_path / "p", last_frames="row"),
        tmp_path / "b",
        "x",
        "train",
        Origin(engine="x"),
        alignment="trust",
    )
    np.testing.assert_array_equal(back.frames[:], store.frames[:])


def test_parquet_refuses_five_channels_before_it_writes(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="5 channels"):
        export_parquet(make(5), tmp_path / "p")
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("form", ["hdf5", "arrow"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_minari(make: Make, tmp_path: Path, channels: int, form: str) -> None:
    pytest.importorskip("minari")
    from flexlam_rl.datasets.formats.minari import export_minari, import_minari

    store = make(channels)
    export_minari(store, tmp_path / "m", data_format=form)
    np.testing.assert_array_equal(import_minari(tmp_path / "m", tmp_path / "b").frames[:], store.frames[:])
    if channels != 3:
        with pytest.raises(ValueError, match=f"{channels} channels: expected 3 for JPEG"):
            export_minari(store, tmp_path / "j", data_format=form, jpeg=True)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_teco(tmp_path: Path, channels: int) -> None:
    video = np.random.default_rng(0).integers(0, 256, (5, 16, 16, channels), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", video=video, actions=np.zeros(5, np.int64))
    np.testing.assert_array_equal(import_teco(tmp_path, tmp_path / "b").frames[:], video)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_mp4_and_plain_videos(make: Make, tmp_path: Path, channels: int, capsys: pytest.CaptureFixture[str]) -> None:
    frames = make(channels).frames[:]
    for arguments in (["export", "mp4", "--out"], ["video", "--plain", "--out"]):
        out = tmp_path / arguments[0]
        code = main(["data", *arguments, str(out), str(tmp_path / "data")])
        if channels == 4:  # a video has no place for the fourth
            assert code == 2 and "4 channels" in capsys.readouterr().err and not out.exists()
        else:
            (file,) = out.rglob("*.mp4")
            shown = np.stack([frame for _, frame in VideoReader(file)])
            assert code == 0 and shown.shape == (5, 32, 32, 3)
            assert np.corrcoef(shown.mean(-1).ravel(), frames.mean(-1).ravel())[0, 1] > 0.8


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sheets_and_drawn_videos_show_every_channel(make: Make, tmp_path: Path, channels: int) -> None:
    frames = make(channels).frames[:]
    assert main(["data", "sheet", str(tmp_path / "data"), "--count", "1", "--out", str(tmp_path / "s.png")]) == 0
    sheet = np.asarray(Image.open(tmp_path / "s.png"))
    big = frames[0].repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(sheet[:64, :64], big[..., :3] if channels > 1 else big.repeat(3, -1))
    if channels == 4:
        np.testing.assert_array_equal(sheet[:64, 64 + GAP : 128 + GAP], big[..., 3:].repeat(3, -1))
    assert main(["data", "video", str(tmp_path / "data"), "--out", str(tmp_path / "v.mp4")]) == 0
    assert len(list(VideoReader(tmp_path / "v.mp4"))) == 5


def test_sheets_refuse_five_channels_and_make_no_folder(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(5)
    assert main(["data", "sheet", str(tmp_path / "data"), "--out", str(tmp_path / "s")]) == 2
    assert "5 channels" in capsys.readouterr().err and not (tmp_path / "s").exists()


def test_pictures_that_bytes_cannot_hold_are_refused(tmp_path: Path) -> None:
    deep = Image.fromarray(np.full((4, 4), 40_000, np.uint16))
    deep.save(tmp_path / "deep.png")
    Image.new("CMYK", (4, 4)).save(tmp_path / "c.jpg")
    for name in ("deep.png", "c.jpg"):
        with pytest.raises(ValueError, match="expected 8 bits, gray or color"):
            decode((tmp_path / name).read_bytes())
    with pytest.raises(ValueError, match="Picture 1 is"):
        decode_all([encode_png(np.zeros((4, 4, channels), np.uint8)) for channels in (3, 1)])
    for broken in (None, b"", b"no picture"):
        with pytest.raises(ValueError, match="PNG or JPEG"):
            decode(broken)  # type: ignore[arg-type]
