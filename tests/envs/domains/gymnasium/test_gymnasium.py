"""Any Gymnasium environment as a domain: frames, repeated actions, exact seeds, its own actions."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from flexlam_rl.cli import main
from flexlam_rl.datasets import RolloutStore
from flexlam_rl.envs.base import env_spec_of
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.utils.command_line import WRONG_USE


class Gray(gym.Env[Any, Any]):
    """Counts up in gray pictures; its only reward is the count."""

    observation_space = spaces.Box(0, 255, (40, 80), np.uint8)
    action_space = spaces.Box(np.float32([-2, 0]), np.float32([2, 8]))

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.count = int(self.np_random.integers(100))
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.count += 1
        return self._seen(), float(self.count), self.count == 111, False, {}

    def _seen(self) -> np.ndarray:
        return np.full((40, 80), self.count, np.uint8)


class Blind(Gray):
    """Shows a number."""

    observation_space = spaces.Discrete(300)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    gym.register("test/Gray-v0", entry_point=Gray)
    gym.register("test/Blind-v0", entry_point=Blind)
    yield
    del gym.registry["test/Gray-v0"], gym.registry["test/Blind-v0"]


def test_pictures_are_resized_and_actions_repeated() -> None:
    domain = find_domain("gymnasium:test/Gray-v0")
    spec = domain.resolve(replace(domain.defaults(), frame_skip=3, width=32, height=16))
    assert [task.name for task in domain.tasks()] == ["test-Gray-v0"] and domain.task("test/Gray-v0").steps(3) == 3334
    assert (domain.actions(spec).low, domain.actions(spec).high) == ((-2.0, 0.0), (2.0, 8.0))
    env = domain.make("test-Gray-v0", spec)
    frame, info = env.reset(options={"episode_seed": 9})
    start = int(frame[0, 0, 0])
    assert frame.shape == (16, 32, 3) and (frame == start).all() and info["episode_seed"] == 9
    frame, reward, terminated, truncated, info = env.step(env.action_space.low)
    assert (frame == start + 3).all() and reward == 3 * start + 6 and info["frames"] == 3
    while not terminated:
        frame, reward, terminated, truncated, info = env.step(env.action_space.low)
    assert (frame == 111).all() and info["frames"] == (111 - start - 1) % 3 + 1 and not truncated
    batch = domain.make_vec(["test-Gray-v0"] * 2, spec)
    frames = batch.reset(options={"episode_seeds": [9, 9]})[0]
    assert (frames == start).all() and env_spec_of(batch) == spec == env_spec_of(env)
    assert domain.make_vec(["test-Gray-v0"], spec).single_action_space == Gray.action_space


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("gymnasium:test/Gray-v0", {"engine": "litelab"}, "engine of gymnasium:test/Gray-v0 must be gymnasium or auto"),
        ("gymnasium:test/Gray-v0", {"frame_skip": 0}, "frame_skip must be an integer of at least 1"),
        ("gymnasium:test/Gray-v0", {"look": {"hud": "none"}}, "has no look 'hud': expected none"),
        ("gymnasium:test/Blind-v0", {}, "shows no pictures: its observations are Discrete.300."),
        ("gymnasium:Nowhere-v0", {}, "makes no environment 'Nowhere-v0'"),
        ("gymnasium:nowhere:Here-v0", {}, "makes no environment 'nowhere:Here-v0'"),
    ],
)
def test_refusals(name: str, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        domain = find_domain(name)
        domain.resolve(replace(domain.defaults(), **change))


def test_what_an_environment_draws_is_collected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pygame", reason="the extra `play` draws Pendulum")
    domain = "gymnasium:Pendulum-v1"
    collect = ["collect", "--domain", domain, "--tasks", "all", "--expert", "random", "--steps", "300"]
    assert main([*collect, "--frame-skip", "8", "--width", "48", "--out", str(tmp_path / "a"), "--num-envs", "3"]) == 0
    assert main([*collect, "--frame-skip", "8", "--width", "48", "--out", str(tmp_path / "b"), "--num-envs", "1"]) == 0
    stores = [RolloutStore(tmp_path / name / "Pendulum-v1" / "train.zarr") for name in "ab"]
    assert stores[0].spec == replace(find_domain(domain).defaults(), frame_skip=8, width=48)
    frames = stores[0].frames.whole() if hasattr(stores[0].frames, "whole") else stores[0].frames[:]
    assert frames.shape[1:] == (64, 48, 3) and frames.std() > 5
    assert stores[0].digest == stores[1].digest  # the same episodes, however many play at once
    assert main(["collect", "--domain", "gymnasium", "--steps", "3", "--out", str(tmp_path / "c")]) == WRONG_USE
    assert "expected 'gymnasium:NAME'" in capsys.readouterr().err
    suite = ["suite", "--domain", domain, "--policy", "random", "--episodes", "2", "--no-plots"]
    assert main([*suite, "--out", str(tmp_path / "suite")]) == 0
    assert "Pendulum-v1" in capsys.readouterr().out
