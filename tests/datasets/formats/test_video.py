"""Import of one's own video: rate, size, cuts, splits, exact resume, and one sentence for what cannot be read."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexlam_rl.cli import main
from flexlam_rl.datasets.formats.video import HowVideo, Resize, import_video
from flexlam_rl.datasets.formats.video.frames import Shot, resample
from flexlam_rl.datasets.samplers import TransitionPairs
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.video import write_video


def scene(seed: int, count: int, height: int = 32, width: int = 48) -> list[np.ndarray]:
    """Frames of one scene: a square that moves before a background of its own colors; frame t has t written in a
    corner.
    """
    random = np.random.default_rng(seed)
    ground = random.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    frames = []
    for t in range(count):
        frame = ground.copy()
        frame[8:16, (2 * t) % (width - 8) : (2 * t) % (width - 8) + 8] = 255 - ground[0, 0]
        frame[:4, :4] = t
        frames.append(frame)
    return frames


def film(folder: Path, *lengths: int, fps: float = 10, **size: int) -> Path:
    """A folder of lossless videos of so many frames."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, count in enumerate(lengths):
        write_video(folder / f"film {number}.mp4", iter(scene(number, count, **size)), fps=fps, lossless=True)
    return folder


def marks(store: RolloutStore) -> list[int]:
    """The times that the frames of a store have in their corners."""
    return store.frames[:][:, 1, 1, 0].tolist()


def test_videos_come_in_whole_with_their_ends(tmp_path: Path) -> None:
    """Also the eleventh after the second: names are sorted by their numbers."""
    lengths = [4 + i for i in range(11)]
    train, test = import_video(film(tmp_path / "my films", *lengths), tmp_path / "out")
    assert (train.path.parent.name, train.split, test.split) == ("my films", "train", "test")
    assert test.episode_table["rows"].tolist() == [13] and train.fps == 10
    assert train.episode_table["rows"].tolist() == [n for n in lengths if n != 13]
    assert not train.with_actions and not train.terminated[:].any() and not train.truncated[:].any()
    np.testing.assert_array_equal(train.episode_at(1).frames, scene(1, 5))
    assert marks(train)[:9] == [0, 1, 2, 3, 0, 1, 2, 3, 4] and not train.restart[:].any()
    assert not TransitionPairs(train).rollouts.stores[0].segments.contains(np.array([3]), 2)[0]


def test_a_cut_is_a_restart_also_where_frames_are_few(tmp_path: Path) -> None:
    """The threshold is held against the largest change between all frames, not only between those that are kept."""
    frames = scene(0, 28) + scene(1, 25) + scene(2, 10)
    (tmp_path / "films").mkdir()
    write_video(tmp_path / "films/a.mp4", iter(frames), fps=10, lossless=True)
    for name, fps, rows in (("all", None, [28, 53]), ("few", 1.6, [5, 9])):
        [store] = import_video(tmp_path / "films", tmp_path / name, how=HowVideo(fps=fps), split="train")
        assert np.flatnonzero(store.restart[:]).tolist() == rows
        change = store.column("extra/scene_change")[:]
        assert (change[rows] > 0.2).all() and (np.delete(change, rows) < 0.1).all()
        picture = np.asarray(Image.open(store.path.parent / "scene-cuts-train.png"))
        assert (picture == (240, 110, 90)).all(-1).any(1).sum() > 100, "the threshold and the cuts are drawn"
    [uncut] = import_video(tmp_path / "films", tmp_path / "uncut", how=HowVideo(cuts=None), split="train")
    assert not uncut.restart[:].any() and "extra/scene_change" not in uncut.column_names
    [strict] = import_video(tmp_path / "films", tmp_path / "strict", how=HowVideo(cuts=0.99), split="train")
    assert not strict.restart[:].any()


def test_frames_are_taken_at_the_moments_asked_for() -> None:
    def taken(times: list[Fraction], fps: Fraction) -> list[int]:
        shots = [Shot(time, np.full((1, 1, 3), i, np.uint8), float(i == 3)) for i, time in enumerate(times)]
        found = list(resample(shots, fps))
        assert [shot.time for shot in found] == [n / fps for n in range(len(found))]
        assert sum(shot.change for shot in found) <= 1
        return [int(shot.frame[0, 0, 0]) for shot in found]

    even = [Fraction(i, 24) for i in range(96)]
    assert taken(even, Fraction(8, 5)) == [0, 15, 30, 45, 60, 75, 90]
    assert taken(even, Fraction(24)) == list(range(96))
    rounded = [Fraction(round(1000 * i / 30), 1000) for i in range(31)]  # as in webm: whole milliseconds
    assert taken(rounded, Fraction(30)) == list(range(31)) and taken(rounded, Fraction(10)) == list(range(0, 31, 3))
    late = [Fraction(0), Fraction(1), Fraction(10), Fraction(11)]  # one frame stands long
    assert taken(late, Fraction(1, 2)) == [0, 1, 1, 2, 2, 2]
    assert taken([Fraction(0)], Fraction(1)) == [0]


def test_sizes() -> None:
    frame = np.zeros((40, 80, 3), np.uint8)
    frame[:, 20:60] = 200  # the middle
    frame[:, :20, 0] = 255
    assert (Resize.parse("40")(frame) == 200).all()
    padded, stretched = Resize.parse("40", "pad")(frame), Resize.parse("40x20", "stretch")(frame)
    assert (padded[:10] == 0).all() and (padded[30:] == 0).all() and (padded[20, 12:28] == 200).all()
    assert stretched.shape == (20, 40, 3) and stretched[10, 2, 0] > 200
    checks = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, -1)
    assert abs(Resize.parse("16×16")(checks).astype(int) - 127).max() < 8, "small pictures are averages"
    for text in ("0", "a", "3x", "64x64x3", "9999"):
        with pytest.raises(ValueError, match="expected WIDTHxHEIGHT or one number"):
            Resize.parse(text)


def test_splits(tmp_path: Path) -> None:
    def rows(out: str, **options: object) -> dict[str, list[int]]:
        stores = import_video(folder, tmp_path / out, level="l", **options)  # type: ignore[arg-type]
        return {store.split: store.episode_table["rows"].tolist() for store in stores}

    folder = film(tmp_path / "films", 20, 30, 10)
    assert rows("share", test_share=0.5) == {"train": [20, 10], "test": [30]}
    assert rows("time", split="time", test_share=0.2) == {"train": [16, 24, 8], "test": [4, 6, 2]}
    assert marks(RolloutStore(tmp_path / "time/l/test.zarr"))[:5] == [16, 17, 18, 19, 24]
    assert rows("one", split="test") == {"test": [20, 30, 10]}
    with pytest.raises(
        ValueError, match=r"3 videos and a test share of 0.1 leave no video for the test split.*--split time"
    ):
        rows("few")
    folder = tmp_path / "sorted"
    film(folder / "train", 5), film(folder / "test/day 2", 6)
    assert rows("named") == {"train": [5], "test": [6]}
    assert not (tmp_path / "few").exists()


def test_folders_of_pictures(tmp_path: Path) -> None:
    frames = scene(0, 12)
    for t, frame in enumerate(frames):
        (tmp_path / "shots/walk").mkdir(parents=True, exist_ok=True)
        Image.fromarray(frame).save(tmp_path / f"shots/walk/{t}.png")
    [store] = import_video(tmp_path / "shots", tmp_path / "out", split="train")
    assert marks(store) == list(range(12))
    how = HowVideo(fps=2)
    [store] = import_video(tmp_path / "shots", tmp_path / "slow", how=how, split="train", picture_fps=4)
    assert marks(store) == [0, 2, 4, 6, 8, 10]
    with pytest.raises(ValueError, match="pictures per second of walk is not known: give --picture-fps"):
        import_video(tmp_path / "shots", tmp_path / "no", how=how, split="train")
    Image.new("RGBA", (48, 32)).save(tmp_path / "shots/walk/3.png")
    with pytest.raises(ValueError, match=r"3\.png has transparent pixels"):
        import_video(tmp_path / "shots", tmp_path / "no", split="train")


def test_a_killed_import_goes_on_and_new_videos_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, how = film(tmp_path / "films", 20, 9, 13), HowVideo(rows=6)

    def files(root: Path) -> dict[str, bytes]:
        return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("frames/c/*") if file.is_file()}

    whole = import_video(folder, tmp_path / "whole", how=how, test_share=0.4)
    assert whole[0].episode_table["rows"].tolist() == [6, 6, 6, 5, 6, 4]  # pieces begin with the last frame before
    assert whole[0].segments.count(2) == 19 + 8

    class Killed(Exception):
        pass

    for stop in (1, 3, 5):
        count = 0

        def progress(done: int, total: int, stop: int = stop) -> None:
            nonlocal count
            count += 1
            if count == stop:
                raise Killed

        with pytest.raises(Killed):
            import_video(folder, tmp_path / "killed", how=how, test_share=0.4, progress=progress)
    again = import_video(folder, tmp_path / "killed", how=how, test_share=0.4)
    assert [store.digest for store in again] == [store.digest for store in whole]
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    write_video(folder / "film 0b.mp4", iter(scene(7, 7)), fps=10, lossless=True)  # sorts between the others
    more = import_video(folder, tmp_path / "killed", how=how, test_share=0.4)
    assert more[0].episodes == whole[0].episodes + 2 and more[0].frames[-1].tolist() == scene(7, 7)[-1].tolist()
    for change, sentence in (
        (HowVideo(rows=7), "rows 6, now it is 7"),
        (HowVideo(fps=5, rows=6), "fps 10.0, now it is 5"),
    ):
        with pytest.raises(Exception, match=sentence):
            import_video(folder, tmp_path / "killed", how=change, test_share=0.4)
    (folder / "film 1.mp4").unlink()
    with pytest.raises(Exception, match=r"film 1\.mp4.* of the earlier import is missing"):
        import_video(folder, tmp_path / "killed", how=how, test_share=0.4)


def test_bad_input_gets_one_sentence_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(folder: Path, *options: str, code: int = 2) -> str:
        out = tmp_path / "out"
        assert main(["data", "import", "video", str(folder), "--out", str(out), "--split", "train", *options]) == code
        assert code == 0 or not out.exists()
        return " ".join(capsys.readouterr().err.split())

    good = film(tmp_path / "good", 8)
    (tmp_path / "empty").mkdir()
    assert "holds no video: expected mp4" in said(tmp_path / "empty")
    assert "nowhere is no folder" in said(tmp_path / "nowhere")
    assert "--fps is 20: expected at most" in said(good, "--fps", "20")
    assert "expected WIDTHxHEIGHT" in said(good, "--size", "big")
    assert "cuts is 2.0: expected" in said(good, "--cuts", "2")
    mixed = film(film(tmp_path / "mixed", 8).joinpath("small"), 8, height=16, width=16).parent
    assert "several sizes, 48x32 (film 0.mp4) and 16x16 (small/film 0.mp4): choose one with --size" in said(mixed)
    bad = film(tmp_path / "bad", 8)
    (bad / "junk.mp4").write_bytes(b"junk" * 99)
    (bad / "note.txt").write_text("none")
    assert "junk.mp4 does not open as a video" in said(bad)
    told = said(bad, "--skip", code=0)
    assert "Left out: " in told and "junk.mp4" in told and "they are no videos: note.txt" in told
    assert RolloutStore(tmp_path / "out/bad/train.zarr").rows == 8
    single = film(tmp_path / "single", 1)
    with pytest.raises(ValueError, match=r"film 0\.mp4 has 1 frame: expected at least 2"):
        import_video(single, tmp_path / "none", split="train")
