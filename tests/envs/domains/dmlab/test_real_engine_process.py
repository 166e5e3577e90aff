"""What the real engine does to the process that it runs in, over a stand-in that does the same."""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import stand_in
from gymnasium.utils.env_checker import check_env

import flexlam_rl  # noqa: F401
from flexlam_rl.envs.domains.dmlab import real_engine
from flexlam_rl.envs.registration import DEFAULT_ID, level_id

LEVEL = "explore_obstructed_goals_small"


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The stand-in for this process and its children, and the folder for temporary files, which holds nothing else."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("FLEXLAM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(real_engine, "_owner", None)
    stand_in.install(monkeypatch, tmp_path)
    return folder


def make(level: str = LEVEL, **options: Any) -> gym.Env[Any, Any]:
    return gym.make(level_id(level), engine="deepmind_lab", **options)


def frames(env: gym.Env[Any, Any], seed: int, steps: int = 5) -> list[Any]:
    """What an episode shows at its beginning."""
    first, _ = env.reset(options={"episode_seed": seed})
    return [first, *(env.step(0)[0] for _ in range(steps))]


def same(one: list[Any], other: list[Any]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_every_step_plays_its_frames_although_the_engine_counts_fractions() -> None:
    env = make(observations=["FRAMES_REMAINING_AT_60", "DEBUG.POS.TRANS"])
    env.reset(seed=0)
    steps = [env.step(0) for _ in range(200)]
    assert any(step[0]["FRAMES_REMAINING_AT_60"][0] % 1 for step in steps)
    assert [step[4]["frames"] for step in steps] == [4] * 200
    env.close()


def test_a_seed_gives_the_same_episode_whatever_was_played_before() -> None:
    """The stand-in has several recordings of the level, and plays another one at the second reset than a fresh one
    would.
    """
    env = make(observations=["DEBUG.POS.TRANS"])
    once = frames(env, 7)
    frames(env, 8)
    assert same(once, frames(env, 7))
    kept = make(observations=["DEBUG.POS.TRANS"], reopen=False)
    env.close()
    assert same(once, frames(kept, 7)) and not same(once, frames(kept, 7))
    (lab,) = stand_in.Lab.alive
    assert lab.seeds == [7, 7]
    kept.close()


@pytest.mark.parametrize("value", [1, "no", None])
def test_reopen_is_true_or_false(value: Any) -> None:
    with pytest.raises(ValueError, match="reopen must be True or False"):
        make(reopen=value)


def test_what_the_engine_prints_stays_out_of_the_way(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    libc = ctypes.CDLL(None)
    libc.puts(b"mine, by C")
    env = make()
    frames(env, 0)
    print("mine", flush=True)
    env.close()
    libc.fflush(None)
    said = capfd.readouterr()
    assert "engine" not in said.out + said.err
    assert "mine, by C" in said.out and "mine\n" in said.out
    monkeypatch.setenv("FLEXLAM_ENGINE_LOG", "1")
    frames(loud := make(), 0)
    loud.close()
    libc.fflush(None)
    said = capfd.readouterr()
    assert "engine: loading" in said.out and "engine: step" in said.err


def test_no_temporary_folder_is_left_after_closing(temporary: Path) -> None:
    env = make()
    frames(env, 0)
    assert len(stand_in.left_behind(temporary)) == 1
    frames(env, 1)
    assert len(stand_in.left_behind(temporary)) == 1
    env.close()
    assert stand_in.left_behind(temporary) == []


PLAY = f"""
import sys, time, gymnasium as gym, flexlam_rl
env = gym.make("{level_id(LEVEL)}", engine="deepmind_lab")
env.reset(seed=0)
print("playing", flush=True)
sys.stdin.readline()
"""
PLAY_MANY = f"""
import sys, gymnasium as gym, flexlam_rl
env = gym.make_vec("{DEFAULT_ID}", num_envs=2, level="{LEVEL}", engine="deepmind_lab")
env.reset(seed=0)
print("playing", flush=True)
sys.stdin.readline()
"""


def start(code: str, tmp_path: Path) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    env = {**os.environ, "PYTHONPATH": path}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "playing\n"
    return process


def test_the_folder_of_a_killed_process_goes_with_the_next_one(temporary: Path, tmp_path: Path) -> None:
    with start(PLAY, tmp_path) as alive, start(PLAY, tmp_path) as killed:
        assert len(stand_in.left_behind(temporary)) == 2
        killed.kill()
        killed.wait()
        env = make()
        frames(env, 0)
        assert len(stand_in.left_behind(temporary)) == 2  # this process's and the living one's
        env.close()
        (left,) = stand_in.left_behind(temporary)
        assert (temporary / left / "baselab").is_dir()
        alive.communicate("\n")
    assert stand_in.left_behind(temporary) == []  # ended without closing its environment


def test_processes_of_a_killed_batch_remove_their_folders(temporary: Path, tmp_path: Path) -> None:
    with start(PLAY_MANY, tmp_path) as process:
        assert len(stand_in.left_behind(temporary)) == 2
        process.kill()
    assert until(lambda: not stand_in.left_behind(temporary))


def test_a_second_engine_runs_in_a_process_of_its_own(temporary: Path) -> None:
    first, second = make(observations=["DEBUG.POS.TRANS"]), make(observations=["DEBUG.POS.TRANS"])
    once = frames(first, 7)
    assert same(once, frames(second, 7))
    assert len(stand_in.Lab.alive) == 1
    assert len(stand_in.left_behind(temporary)) == 2
    frames(second, 8)
    assert same(once, frames(second, 7))
    first.close()
    assert same(once, frames(second, 7))
    second.close()
    assert stand_in.Lab.alive == [] and stand_in.left_behind(temporary) == []


def test_errors_of_the_second_engine_are_those_of_the_first() -> None:
    first, second = make(), gym.make(DEFAULT_ID, level="tests/empty_room", engine="deepmind_lab")
    first.reset(seed=0)
    with pytest.raises(RuntimeError, match="Level not found"):
        second.reset(seed=0)
    first.close()
    second.close()


def test_a_second_engine_that_dies_is_one_sentence(temporary: Path) -> None:
    first, second = make(), make()
    first.reset(seed=0)
    second.reset(seed=0)
    os.kill(second.unwrapped._engine._elsewhere._process.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match=r"process of the DeepMind Lab engine has ended \(exit code -9\)"):
        second.step(0)
    second.close()
    first.close()
    assert stand_in.left_behind(temporary) == []


def test_check_env_with_render_checks() -> None:
    env = make(render_mode="rgb_array", disable_env_checker=True)
    env.unwrapped.metadata["render_modes"] = ["rgb_array"]  # no window
    check_env(env.unwrapped)
    env.close()
