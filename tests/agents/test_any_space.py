"""From a world of continuous actions and wide frames to a policy that plays it, with most episodes unlabelled."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.latent_space import LatentActionSpace
from flexlam_rl.agents.policy.bundling import make_bundle
from flexlam_rl.agents.policy.cloning import CloningPolicy
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.cli import main
from flexlam_rl.datasets.record import RecordRollouts
from flexlam_rl.models.baselines.stages import BCOptions, IDMOptions
from flexlam_rl.models.flexlam.pipeline import TrainArgs, train_all, train_stage

BOX = spaces.Box(np.array([0, -3], np.float32), np.array([10, 3], np.float32))
KINDS = {
    "box": BOX,
    "several": spaces.MultiDiscrete([3, 4], start=[1, -2]),
}


class Slide(gym.Env[Any, Any]):
    """A bright square on a torus, moved by the action; episodes of 12 steps."""

    def __init__(self, space: Any = BOX, shape: tuple[int, int, int] = (40, 56, 3)) -> None:
        self.action_space, self.observation_space = space, spaces.Box(0, 255, shape, np.uint8)

    def _frame(self) -> np.ndarray:
        frame = np.zeros(self.observation_space.shape, np.uint8)
        height, width = frame.shape[:2]
        rows, columns = (np.arange(8) + place for place in self._place)
        frame[np.ix_(rows % height, columns % width)] = 255
        return frame

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._step, self._place = 0, self.np_random.integers(0, 40, 2)
        return self._frame(), {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), action
        across, down = np.asarray(action, np.float64)
        self._place = self._place + np.round([2 * down, 1.2 * (across - 5)]).astype(int)
        self._step += 1
        return self._frame(), float(across), False, self._step == 12, {}


def record(root: Path, space: Any, shape: tuple[int, int, int], labelled: int, video: int) -> Path:
    for split in ("train", "test"):
        for level, count, acting in (("slide", labelled, True), ("video", video, False)):
            env = RecordRollouts(Slide(space, shape), root, split, level=level, with_actions=acting)
            player = make_expert("random", env, seed=int(split == "test"))
            for key in range(count):
                frame, _ = env.reset(seed=key + 1000 * (split == "test"))
                over = False
                while not over:
                    action = player.predict(frame)[0]
                    frame, _, _, over, _ = env.step(action)
            env.close()
    return root


@pytest.fixture(scope="module", params=KINDS)
def trained(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path]:
    torch.set_num_threads(1)
    shape = (40, 56, 1 if request.param == "several" else 3)
    data = record(tmp_path_factory.mktemp("data"), KINDS[request.param], shape, 4, 8)
    out = tmp_path_factory.mktemp("run")
    train_all(TrainArgs(data=data, out=out, preset="debug", label_count=40, conditioning="slots+action+frame"))
    return request.param, data, out


def test_a_policy_plays_in_its_own_space(trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, data, run = trained
    space = KINDS[name]
    make_bundle(run, tmp_path / "bundle", [data])
    env = Slide(space, (40, 56, 1 if name == "several" else 3))
    policy = LatentActionPolicy.from_pretrained(tmp_path / "bundle", budget=2, env=env, seed=3)
    train_stage("bc", BCOptions(data=data, out=run, preset="debug", label_count=40))
    cloning = CloningPolicy(run, env)
    for player in (policy, cloning):
        frame, _ = env.reset(seed=1)
        state, over, actions = None, False, []
        while not over:
            action, state = player.predict(frame, state)
            frame, _, _, over, _ = env.step(action)  # the world refuses what is not of its space
            actions.append(action)
        assert name != "box" or len({action.tobytes() for action in actions}) > 1
    latent = LatentActionSpace(env, policy, budget=2)
    latent.reset(seed=1)
    taken = latent.step(np.array([3, 4]))[4]["action"]
    assert space.contains(taken)
    other = Slide(spaces.Discrete(3), env.observation_space.shape)
    with pytest.raises(ValueError, match=r"was trained with the action space .*; the environment has Discrete\(3\)"):
        policy.check(other)
    with pytest.raises(ValueError, match=r"frame size \(40, 56\); the environment has \(56, 40\)"):
        policy.check(Slide(space, (56, 40, env.observation_space.shape[2])))
    assert main(["health", str(run), "--data", str(data), "--out", str(tmp_path / "h"), "--transitions", "48"]) == 0
    assert "verdict" in capsys.readouterr().out


def test_known_continuous_actions_are_recovered(tmp_path: Path) -> None:
    """Labels of two numbers: the error is far below that of guessing the mean."""
    torch.set_num_threads(1)
    data = record(tmp_path / "data", BOX, (40, 56, 3), 40, 1)
    options = IDMOptions(data=data, out=tmp_path / "run", preset="debug", label_count=400, steps=150)
    figures = train_stage("idm", options)
    assert figures["error"] < 0.25  # guessing the middle of [-1, 1] has 0.5
