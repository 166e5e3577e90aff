"""`flexlam demo`: its picture, its video, and how it answers wrong use."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexlam_rl.agents.policy.bundle import load_bundle
from flexlam_rl.checkpoints import VARIABLE
from flexlam_rl.cli import main
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.envs.domains.dmlab.domain import DMLAB
from flexlam_rl.eval.demo import LINE, PICTURE, SIZE, VIDEO, prefix_columns, video_pictures
from flexlam_rl.utils.command_line import WRONG_USE
from flexlam_rl.utils.pictures import panel
from flexlam_rl.utils.video import VideoReader

ROOT = Path(__file__).resolve().parents[2]
LEVEL = "rooms_exploit_deferred_effects_train"
STEPS = 15  # of one second


@pytest.fixture(autouse=True)
def bundled(monkeypatch: pytest.MonkeyPatch, bundle_folder: Path) -> None:
    """Random models of four slots stand for those that come with the package."""
    monkeypatch.setenv(VARIABLE, str(bundle_folder))


def demo(out: Path, *more: str) -> int:
    return main(["demo", "--out", str(out), "--level", LEVEL, "--seconds", "1", *more])


def test_the_same_seed_writes_the_same_picture_and_video(tmp_path, monkeypatch, capsys) -> None:
    from flexlam_rl.envs.litelab import compiling

    one, two, other = (tmp_path / name / "demo" for name in ("one", "two", "other"))
    with monkeypatch.context() as first:
        first.setattr(compiling, "is_compiled", lambda: False)
        first.setattr(compiling, "compile_all", lambda report: report(1, 2))
        assert demo(one) == 0
    said = capsys.readouterr().out
    assert said.startswith("Loading") and "compiles litelab" in said
    assert str(one / PICTURE) in said and f"{one / VIDEO}: {STEPS + 1} frames" in said
    assert sorted(path.name for path in one.iterdir()) == [VIDEO, PICTURE]
    assert np.asarray(Image.open(one / PICTURE)).shape[1] == 4 * (2 * 64 + 2)  # frame, next, K = 1, K = 4
    frames = [frame for _, frame in VideoReader(one / VIDEO)]
    assert len(frames) == STEPS + 1
    assert frames[0].shape == (SIZE, 2 * SIZE + 4, 3)
    assert demo(two) == demo(other, "--seed", "1") == 0
    assert "compiles" not in capsys.readouterr().out
    for name in (PICTURE, VIDEO):
        assert (one / name).read_bytes() == (two / name).read_bytes()
        assert (one / name).read_bytes() != (other / name).read_bytes()
    views = [frame[:, :SIZE].astype(int) for frame in (frames[0], next(iter(VideoReader(other / VIDEO))).frame)]
    assert np.abs(views[0] - views[1]).mean() > 1  # another world, not other decisions alone


def episode() -> Episode:
    """Frame t is of the brightness 20 t, and the map restarts before the frames 2 and 4."""
    frames = np.broadcast_to(20 * np.arange(6, dtype=np.uint8)[:, None, None, None], (6, 64, 64, 3)).copy()
    restart = np.array([True, False, True, False, True, False])
    return Episode(frames, np.array([0, 6, 14, 0, 1, 2], np.int16)[:5], np.array([0.0, 3.0, -1.0, 0.5, 0.0]), None,
                   restart=restart)  # fmt: skip


def test_each_frame_of_the_video_stands_beside_what_is_decided_there() -> None:
    pictures = list(video_pictures(episode(), DMLAB.defaults(), LEVEL, 3, 4))
    assert len(pictures) == 6
    for t, (action, total) in {
        0: ("forward", "0"),
        1: ("turn left", "0"),
        2: ("fire", "3"),
        5: ("last frame", "2.5"),
    }.items():
        assert (pictures[t][:, :SIZE] == 20 * t).all()
        lines = (*LEVEL.split("_"), "", "budget 3 of 4", action, f"return {total}")
        assert (pictures[t][:, -SIZE:] == panel(lines, SIZE, SIZE, LINE)).all()


def test_no_transition_of_the_picture_leads_across_a_restart() -> None:
    columns = prefix_columns(load_bundle().lam, episode(), 6, 0)
    assert list(columns) == ["frame", "next", "K = 1", "K = 4"]
    assert columns["frame"][:, 0, 0, 0].tolist() == [0, 40, 80]
    assert columns["next"][:, 0, 0, 0].tolist() == [20, 60, 100]
    assert (columns["K = 1"] != columns["K = 4"]).any()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--level", "rooms"], ["'rooms'", "rooms_watermaze"]),
        (["--budget", "5"], ["budget is 5", "1..4"]),
        (["--seconds", "0.05"], ["seconds is 0.05", "at least 0.1", "two steps"]),
        (["--seconds", "nan"], ["seconds is nan"]),
        (["--seed", "-1"], ["seed is -1"]),
        (["--seed", str(2**63)], ["seed is 9223372036854775808", "64 bits"]),
    ],
)
def test_wrong_use_is_one_sentence(more, words, tmp_path, capsys) -> None:
    assert demo(tmp_path / "demo", *more) == WRONG_USE
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1 and all(word in said for word in words), said
    assert not (tmp_path / "demo").exists()


def test_a_file_is_not_written_over_and_a_missing_checkpoint_is_named(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "file").write_text("kept")
    assert demo(tmp_path / "file") == WRONG_USE
    assert "is a file; expected a folder" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "kept"
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert demo(tmp_path / "demo") == WRONG_USE
    assert "holds no bundle" in capsys.readouterr().err


def test_without_torch_one_sentence_names_the_extra(tmp_path) -> None:
    code = "import sys; sys.modules['torch'] = None; from flexlam_rl.cli import main; sys.exit(main(['demo']))"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == WRONG_USE
    assert len(done.stderr.strip().splitlines()) == 1
    assert "flexlam_rl[models]" in done.stderr
    assert list(tmp_path.iterdir()) == []
