"""The command `flexlam`: what it writes, and how it answers wrong use."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexlam_rl.cli import COMMANDS, main
from flexlam_rl.envs.domains.dmlab.levels import LEVELS, SUITE
from flexlam_rl.utils.command_line import INTERRUPTED, WRONG_USE
from flexlam_rl.utils.video import VideoReader

LEVEL = "explore_goal_locations_small"


def _one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """What the command said on stderr, which must be one line without a traceback."""
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1, said
    assert "Traceback" not in said
    return said


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_of_each_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert f"flexlam {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rendr"], ["'rendr'", "'render'"]),
        (["render", LEVEL], ["--out"]),
        (["render", LEVEL, "-o", "a.png", "--sed", "1"], ["--sed", "flexlam render --help"]),
        (["render", LEVEL, "-o", "a.png", "--seed", "one"], ["--seed", "'one'"]),
        (["render", LEVEL, "-o", "a.png", "--policy", "clever"], ["'clever'", "'random'"]),
        (["render", LEVEL, "-o", "a.gif"], ["'a.gif'", ".png or .mp4"]),
        (["render", LEVEL, "-o", "a.png", "--steps", "0"], ["steps", "0", "at least 1"]),
        (["render", "explore_nothing", "-o", "a.png"], ["'explore_nothing'", LEVEL]),
        (["render", LEVEL, "-o", "a.png", "--size", "30"], ["30", "multiple of 4"]),
        (["render", LEVEL, "-o", "nowhere/a.png", "--steps", "1"], ["nowhere", "does not exist"]),
        (["suite", "--levels", "rooms"], ["'rooms'", "rooms_watermaze"]),
        (["suite", "--episodes", "0"], ["episodes", "0", "at least 1"]),
    ],
)
def test_wrong_use_is_one_sentence(
    arguments: list[str],
    words: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == WRONG_USE
    said = _one_sentence(capsys)
    assert all(word in said for word in words), said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(importlib.util.find_spec("deepmind_lab") is not None, reason="the real engine is installed")
def test_missing_real_engine_is_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["render", LEVEL, "-o", str(tmp_path / "a.png"), "--engine", "deepmind_lab"]) == WRONG_USE
    assert "deepmind_lab" in _one_sentence(capsys)


def test_levels(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["levels"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in LEVELS)


def test_render_sheet(tmp_path: Path) -> None:
    """Sixteen different views in a square; the same seed writes the same file, another seed another one."""
    first, again, other = (tmp_path / name for name in ("first.png", "again.png", "other.png"))
    for path, seed in ((first, 3), (again, 3), (other, 4)):
        assert main(["render", LEVEL, "-o", str(path), "--steps", "30", "--size", "64", "--seed", str(seed)]) == 0
    sheet = np.asarray(Image.open(first))
    assert sheet.shape[1] == 4 * 64 + 3 * 4
    views = [sheet[:64, 68 * i : 68 * i + 64] for i in range(4)]
    assert all(view.std() > 5 for view in views)
    assert any((views[0] != view).any() for view in views[1:])
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != other.read_bytes()


def test_render_video_with_map(tmp_path: Path) -> None:
    path = tmp_path / "episode.mp4"
    assert (
        main(["render", LEVEL, "-o", str(path), "--steps", "20", "--size", "64", "--top-down", "--policy", "spin"]) == 0
    )
    frames = [frame for _, frame in VideoReader(path)]
    assert len(frames) == 21
    height, width = frames[0].shape[:2]
    assert width == 2 * 64 + 4
    assert height >= 64
    assert np.abs(frames[0].astype(int) - frames[-1].astype(int)).mean() > 1


def test_suite_scores_eleven_levels() -> None:
    assert len(SUITE) == 11


def test_module_runs_from_a_checkout(tmp_path: Path) -> None:
    """`python -m eval.suite` at the root of a checkout is the same program as `flexlam suite`."""
    root = Path(__file__).resolve().parents[1]
    out = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "eval.suite",
        "--policy",
        "random",
        "--levels",
        "rooms_exploit_deferred_effects_train",
    ]
    command += ["--episodes", "1", "--out", str(out)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "results.json").read_text())["policy"] == "random"
    wrong = subprocess.run(
        [sys.executable, "-m", "eval.suite", "--episodes", "0"], cwd=root, capture_output=True, text=True, timeout=300
    )
    assert wrong.returncode == WRONG_USE
    assert "Traceback" not in wrong.stderr


def test_interrupt_ends_cleanly(tmp_path: Path, start_flexlam) -> None:
    """Ctrl-C during a long render: one line, no traceback, and no half-written file."""
    out = tmp_path / "long.mp4"
    with start_flexlam("render", LEVEL, "-o", str(out), "--steps", "1000000", "--size", "256") as process:
        deadline = time.monotonic() + 120
        while not list(tmp_path.iterdir()) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_play_without_pygame_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    assert main(["play", LEVEL]) == WRONG_USE
    assert "flexlam_rl[play]" in _one_sentence(capsys)


def test_play_shows_a_few_frames_without_a_display() -> None:
    pytest.importorskip("pygame")
    env = {**os.environ, "SDL_VIDEODRIVER": "dummy", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}
    code = "import sys; from flexlam_rl.cli import main; sys.exit(main(sys.argv[1:]))"
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-c", code, "play", LEVEL, "--frames", "5", "--size", "64"]
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "W A S D" in done.stdout


def test_keys_become_native_actions() -> None:
    pygame = pytest.importorskip("pygame")
    from flexlam_rl.commands.play import LOOK, native_action
    from flexlam_rl.envs.domains.dmlab.actions import ACTION_SETS

    def held(*names: int) -> np.ndarray:
        return native_action({key: key in names for key in _keys(pygame)}, pygame)

    assert held().tolist() == [0] * 7
    assert held(pygame.K_w, pygame.K_RIGHT).tolist() == [LOOK, 0, 0, 1, 0, 0, 0]
    assert held(pygame.K_s, pygame.K_w).tolist() == [0] * 7
    assert held(pygame.K_a, pygame.K_UP, pygame.K_SPACE).tolist() == [0, -LOOK, -1, 0, 0, 1, 0]
    assert held(pygame.K_f, pygame.K_c).tolist() == [0, 0, 0, 0, 1, 0, 1]
    assert ACTION_SETS["native7"].space().contains(held(pygame.K_d))


def _keys(pygame: object) -> list[int]:
    names = ["K_RIGHT", "K_LEFT", "K_UP", "K_DOWN", "K_w", "K_a", "K_s", "K_d", "K_f", "K_c", "K_SPACE"]
    return [getattr(pygame, name) for name in names]
