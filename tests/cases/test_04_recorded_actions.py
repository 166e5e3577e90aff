"""The recorder stores actions, rewards and observations as they are, or refuses the environment when it is wrapped."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from flexlam_rl.datasets.record import RecordRollouts
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.errors import StoreError

IMAGE = gym.spaces.Box(0, 255, (16, 16, 3), np.uint8)


class World(gym.Env[Any, Any]):
    """Three steps; shows and pays what it is told to."""

    level = "world"

    def __init__(self, actions: gym.Space[Any], observation: gym.Space[Any] = IMAGE, reward: Any = 0.1) -> None:
        self.action_space, self.observation_space, self.reward = actions, observation, reward

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.t = 0
        self.observation_space.seed(5)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, Any, Any, bool, dict[str, Any]]:
        self.t += 1
        if isinstance(action, np.ndarray) and action.ndim:
            action[:] = 0  # an environment may use the memory of its argument
        return (
            self.observation_space.sample(),
            self.reward,
            np.bool_(self.t == 3),
            False,
            {"map_reset": np.int64(self.t == 2)},
        )


@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Box(-40_000, 40_000, (7,), np.int32),
        gym.spaces.Discrete(40_000),
        gym.spaces.Tuple([gym.spaces.Discrete(2)]),
    ],
)
def test_actions_that_a_store_does_not_hold_are_refused_at_once(tmp_path: Path, space: gym.Space[Any]) -> None:
    with pytest.raises(StoreError, match=r"cannot store the actions [^\n]+$"):
        RecordRollouts(World(space), tmp_path)
    assert not list(tmp_path.iterdir())
    RecordRollouts(World(space), tmp_path, with_actions=False).close()


def test_vectors_of_environments_are_refused(tmp_path: Path) -> None:
    envs = gym.vector.SyncVectorEnv([lambda: World(gym.spaces.Discrete(3))])
    with pytest.raises(StoreError, match="expected one environment"):
        RecordRollouts(envs, tmp_path)  # type: ignore[arg-type]


def test_native_actions_and_rewards_come_back(tmp_path: Path) -> None:
    env = RecordRollouts(World(gym.spaces.Box(-512, 512, (7,), np.int32)), tmp_path)
    env.reset(seed=np.int64(3))  # type: ignore[arg-type]
    for number in range(3):
        env.step(np.full(7, 100 + number, np.int32))
    env.close()
    one = RolloutStore(env.writer.path).episode_at(0)
    assert one.action is None and one.action_native is not None and one.reward is not None and one.restart is not None
    assert one.action_native[:, 0].tolist() == [100, 101, 102] and one.reward.tolist() == [0.1] * 3
    assert one.terminated and one.seed == 3 and one.restart.tolist() == [False, False, True, False]


@pytest.mark.parametrize("action", [1.5, np.nan, 3, -1, True, "1", None, [0, 1]])
def test_an_action_that_is_none_is_refused_before_it_is_played(tmp_path: Path, action: Any) -> None:
    env = RecordRollouts(World(gym.spaces.Discrete(3)), tmp_path)
    env.reset()
    with pytest.raises(ValueError, match="recorded action"):
        env.step(action)
    assert env.unwrapped.t == 0  # type: ignore[attr-defined]
    env.close()


@pytest.mark.parametrize("reward", [np.nan, np.inf, None, "1", np.zeros(2)])
def test_a_reward_that_is_no_number_is_refused_at_its_step(tmp_path: Path, reward: Any) -> None:
    env = RecordRollouts(World(gym.spaces.Discrete(3), reward=reward), tmp_path)
    env.reset()
    with pytest.raises(ValueError, match="recorded reward"):
        env.step(0)
    env.close()


def test_other_observations_are_stored_too(tmp_path: Path) -> None:
    space = gym.spaces.Dict(
        {
            "RGB_INTERLEAVED": IMAGE,
            "INSTR": gym.spaces.Text(9),
            "pose": gym.spaces.Box(-9, 9, (3,), np.float64),
            "room": gym.spaces.Discrete(4),
        }
    )
    env = RecordRollouts(World(gym.spaces.Discrete(3), space), tmp_path)
    seen = [env.reset()[0], *(env.step(number)[0] for number in range(3))]
    env.close()
    one = RolloutStore(env.writer.path).episode_at(0)
    np.testing.assert_array_equal(one.extra["pose"], [each["pose"] for each in seen])
    np.testing.assert_array_equal(one.extra["room"], [each["room"] for each in seen])
    assert list(one.instruction) == [each["INSTR"] for each in seen]


def test_an_observation_that_no_column_holds_is_refused(tmp_path: Path) -> None:
    space = gym.spaces.Dict({"RGB_INTERLEAVED": IMAGE, "words": gym.spaces.Text(9)})
    with pytest.raises(StoreError, match="cannot store the observation 'words'"):
        RecordRollouts(World(gym.spaces.Discrete(3), space), tmp_path)


def test_frames_of_another_type_are_refused(tmp_path: Path) -> None:
    env = RecordRollouts(World(gym.spaces.Discrete(3)), tmp_path)
    env.reset()
    env.unwrapped.observation_space = gym.spaces.Box(0, 1, (16, 16, 3), np.float32)
    with pytest.raises(ValueError, match="recorded frame is float32"):
        env.step(0)
    env.close()
