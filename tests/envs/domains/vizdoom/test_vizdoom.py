"""ViZDoom as a domain: the same seed gives the same episode anywhere, and time-outs are no deaths."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from flexlam_rl.envs.base import env_spec_of
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.domains.vizdoom.actions import LABELS
from flexlam_rl.envs.domains.vizdoom.domain import RETURNS
from flexlam_rl.envs.errors import ClosedError, InvalidAction, ResetNeeded
from flexlam_rl.envs.measured import read_table
from flexlam_rl.envs.spec import ActionSpec

pytest.importorskip("vizdoom", reason="the extra `vizdoom` is not installed")

DOOM = find_domain("vizdoom")
SPEC = DOOM.defaults()
HASH = "5a9a591e8346e6fd407ac5cfe2306f4a4c97043d274ef0e05e10612afd0a8a17"
NOOP, FORWARD, LEFT, RIGHT, ATTACK = map(LABELS.index, ("noop", "forward", "turn left", "turn right", "attack"))


@pytest.fixture
def make() -> Iterator[Any]:
    """make(task, **changes) makes an environment of a changed record, and closes it in the end."""
    opened = []

    def open_one(task: str, **changes: Any) -> gym.Env[Any, Any]:
        opened.append(DOOM.make(task, replace(SPEC, **changes)))
        return opened[-1]

    yield open_one
    for env in opened:
        env.close()


def digest(env: gym.Env[Any, Any], seed: int, steps: int = 40) -> str:
    """Frames, rewards and end of an episode of random actions, in one number."""
    random, seen = np.random.default_rng(seed), hashlib.sha256()
    seen.update(env.reset(options={"episode_seed": seed})[0].tobytes())
    for _ in range(steps):
        frame, reward, terminated, truncated, info = env.step(random.integers(FORWARD, ATTACK + 1))
        seen.update(frame.tobytes() + repr((reward, terminated, truncated, info["episode_seed"])).encode())
        if terminated or truncated:
            break
    return seen.hexdigest()


def test_tasks_and_actions() -> None:
    assert len(DOOM.tasks()) == 10 and all(task.scored for task in DOOM.tasks())
    assert DOOM.task("basic").steps(4) == 75
    assert DOOM.actions(SPEC) == ActionSpec((12,), 0, "doom12", HASH)  # what stores and checkpoints hold
    assert SPEC.action_hash == HASH and DOOM.resolve(SPEC) == SPEC == DOOM.resolve(replace(SPEC, look=()))
    with pytest.raises(ValueError, match="Unknown task of vizdoom 'basics'"):
        DOOM.task("basics")


def test_every_task_has_a_reference_above_random() -> None:
    for task in DOOM.tasks():
        reference = DOOM.reference(task.name, SPEC)
        assert reference is not None and reference.random is not None and reference.mean > reference.random, task
        assert DOOM.reference(task.name, SPEC, "human") is None
    page = (Path(__file__).parents[4] / "docs" / "vizdoom.md").read_text(encoding="utf-8")
    for name, rows in read_table(RETURNS, "vizdoom")["levels"].items():
        cells = [f"{row['mean']:.2f} ± {row['standard_error']:.2f}" for row in (rows["random"], rows["expert"])]
        assert f"| `{name}` | {cells[0]} | {cells[1]} |" in page


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"domain": "dmlab"}, "domain 'dmlab': expected 'vizdoom'"),
        ({"engine": "litelab"}, "engine of vizdoom must be vizdoom or auto, got 'litelab'"),
        ({"action_set": "dreamer15"}, "action_set of vizdoom must be doom12, got 'dreamer15'"),
        ({"action_hash": "abc"}, "action_hash of vizdoom must be"),
        ({"frame_skip": 0}, "frame_skip must be an integer of at least 1"),
        ({"width": 641}, "641x64 are too large: expected at most 640x480"),
        ({"look": {"hud": "reduced"}}, "hud of vizdoom must be none or full, got 'reduced'"),
        ({"look": {"fog": "thick"}}, "no look 'fog'"),
    ],
)
def test_refusals(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DOOM.resolve(replace(SPEC, **change))


@pytest.mark.parametrize("task", ["deadly_corridor", "predict_position"])
def test_an_episode_depends_on_its_seed_alone(task: str, make: Any) -> None:
    """In these episodes the swing of the weapon would be that of the episode before, unless it is turned off."""
    env = make(task)
    first = [digest(env, seed) for seed in (6, 5, 6)]
    assert first[0] == first[2] != first[1]
    code = (
        "from test_vizdoom import DOOM, SPEC, digest\n"
        f"env = DOOM.make({task!r}, SPEC)\nprint(digest(env, 9), digest(env, 6))"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    found = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True)
    assert found.stdout.decode().split()[-1] == first[0]


def test_time_is_truncation_and_death_is_not(make: Any) -> None:
    env = make("my_way_home", frame_skip=64)
    env.reset(options={"episode_seed": 1})
    steps = [env.step(NOOP) for _ in range(33)]
    assert [step[4]["frames"] for step in steps] == [64] * 32 + [52]
    assert sum(step[1] for step in steps) == pytest.approx(-0.0001 * 2100)
    assert [step[2:4] for step in steps] == [(False, False)] * 32 + [(False, True)]
    with pytest.raises(ResetNeeded, match="without an episode"):
        env.step(NOOP)
    env = make("health_gathering", frame_skip=64)
    env.reset(options={"episode_seed": 1})
    ends = []
    while not ends or not any(ends[-1][2:4]):
        ends.append(env.step(NOOP))
    assert ends[-1][2:4] == (True, False) and ends[-1][1] < -30  # the death penalty
    assert np.array_equal(ends[-1][0], ends[-2][0]) and not DOOM.shows_last(SPEC)


def test_actions_do_what_they_are_called(make: Any) -> None:
    env = make("my_way_home")
    frame = env.reset(options={"episode_seed": 2})[0]
    assert np.array_equal(env.step(NOOP)[0], frame)  # nothing else moves here
    left = [env.step(LEFT)[0] for _ in range(3)]
    env.step(NOOP)
    back = [env.step(RIGHT)[0] for _ in range(3)]
    assert np.array_equal(back[-1], frame) and not np.array_equal(left[-1], frame)
    for wrong in (12, -1, 0.5, True, np.array([1, 2])):
        with pytest.raises(InvalidAction, match="integer from 0 to 11"):
            env.step(wrong)


def test_frames_of_other_sizes_and_the_status_bar(make: Any) -> None:
    env = make("health_gathering", width=128, height=96)
    frame = env.reset(options={"episode_seed": 3})[0]
    assert frame.shape == env.observation_space.shape == (96, 128, 3)
    assert env_spec_of(env).width == 128
    large = make("health_gathering", width=160, height=120)
    whole = large.reset(options={"episode_seed": 3})[0]
    assert abs(whole.mean() - frame.mean()) < 1.0  # the same picture
    barred = make("health_gathering", width=160, height=120, look={"hud": "full"}).reset(options={"episode_seed": 3})[0]
    assert (barred[105:] != whole[105:]).any(-1).mean() > 0.5


def test_a_batch_plays_named_episodes() -> None:
    batch = DOOM.make_vec(["basic", "deathmatch", "basic"], SPEC)
    single = DOOM.make("basic", SPEC)
    try:
        frames, infos = batch.reset(options={"episode_seeds": [4, 5, 6]})
        assert infos["level"].tolist() == ["basic", "deathmatch", "basic"] and env_spec_of(batch) == SPEC
        alone = single.reset(options={"episode_seed": 6})[0]
        for step in range(15):
            assert np.array_equal(alone, frames[2])
            frames = batch.step(np.array([step % 12, FORWARD, (5 * step) % 12]))[0]
            alone = single.step((5 * step) % 12)[0]
        mask = np.array([True, False, False])
        begun = batch.reset(options={"reset_mask": mask, "episode_seeds": [6, None, None]})[0]
        assert np.array_equal(begun[0], single.reset(options={"episode_seed": 6})[0])
        assert np.array_equal(begun[1:], frames[1:])
        with pytest.raises(InvalidAction):
            batch.step(np.array([0, 12, 0]))
    finally:
        batch.close()
        single.close()
    with pytest.raises(ClosedError):
        single.reset()


def test_the_engine_leaves_ctrl_c_to_python_and_no_files_behind(tmp_path: Path) -> None:
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from flexlam_rl.envs.domain import find_domain\n"
        "domain = find_domain('vizdoom')\nenv = domain.make('my_way_home', domain.defaults())\nenv.reset()\n"
        "try:\n    print('plays', flush=True)\n    while True:\n        if any(env.step(0)[2:4]): env.reset()\n"
        "except KeyboardInterrupt:\n    env.reset(); env.step(0); env.close(); print('ended well')\n"
    )
    path = os.pathsep.join(filter(None, sys.path))
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stdout is not None and child.stdout.readline() == "plays\n"
    os.killpg(child.pid, signal.SIGINT)
    assert child.communicate(timeout=60)[0] == "ended well\n" and child.returncode == 0
    assert not list(tmp_path.iterdir())
