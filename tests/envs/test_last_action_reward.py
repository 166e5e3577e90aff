"""The last action and the last reward as observations."""

import copy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

import flexlam_rl  # noqa: F401
from flexlam_rl.envs import LastAction, LastReward, VectorLastAction, VectorLastReward
from flexlam_rl.envs.registration import DEFAULT_ID

SHORT = {"engine": "litelab", "config": {"episodeLengthSeconds": "0.2"}}  # three steps


class Counting(gym.Env[Any, Any]):
    """Episodes of three steps whose reward is the number of the step, of any action space."""

    def __init__(self, action_space: Any) -> None:
        self.action_space = action_space
        self.observation_space = spaces.Box(0, 9, (1,), np.int64)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._count = 0
        return np.array([0]), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._count += 1
        return np.array([self._count]), float(self._count), False, self._count == 3, {}


def test_in_a_dictionary_with_the_frame() -> None:
    env = LastReward(LastAction(gym.make(DEFAULT_ID, engine="litelab")))
    observation, _ = env.reset(seed=0)
    assert set(observation) == {"RGB_INTERLEAVED", "LAST_ACTION", "LAST_REWARD"}
    assert observation in env.observation_space
    assert not observation["LAST_ACTION"].any() and observation["LAST_REWARD"].tolist() == [0.0]
    observation, _, _, _, _ = env.step(6)
    assert observation in env.observation_space
    assert observation["LAST_ACTION"].tolist() == np.eye(15)[6].tolist()
    assert env.reset()[0]["LAST_ACTION"].sum() == 0, "an episode begins without an action"


def test_gymnasiums_checker_and_a_spec() -> None:
    env = LastReward(LastAction(gym.make(DEFAULT_ID, **SHORT), one_hot=False))
    check_env(env, skip_render_check=True)
    assert gym.make(env.spec).observation_space == env.observation_space
    assert copy.deepcopy(env).reset(seed=1)[0] in env.observation_space


@pytest.mark.parametrize(
    ("space", "one_hot", "action", "first", "shown"),
    [
        (spaces.Discrete(3), True, 2, [0, 0, 0], [0, 0, 1]),
        (spaces.Discrete(3), False, 2, 3, 2),
        (spaces.Discrete(3, start=5), True, 5, [0, 0, 0], [1, 0, 0]),
        (spaces.Discrete(3, start=5), False, 5, 8, 5),
        (spaces.MultiDiscrete([2, 3]), True, [1, 0], [0] * 5, [0, 1, 1, 0, 0]),
        (spaces.MultiDiscrete([2, 3]), False, [1, 0], [2, 3], [1, 0]),
        (spaces.Box(-1, 1, (2,), np.float32), True, [0.5, -1], [0, 0], [0.5, -1]),
        (spaces.Box(1, 2, (2,), np.float32), True, [1.5, 2], [0, 0], [1.5, 2]),
    ],
)
def test_every_action_space(space: Any, one_hot: bool, action: Any, first: Any, shown: Any) -> None:
    action = np.array(action, space.dtype)
    single = LastAction(Counting(space), one_hot=one_hot, frame="count")
    batch = VectorLastAction(gym.vector.SyncVectorEnv([lambda: Counting(space)] * 2), one_hot=one_hot, frame="count")
    for observation in (single.reset()[0], single.step(action)[0]):
        assert observation in single.observation_space
    assert np.asarray(single.reset()[0]["LAST_ACTION"]).tolist() == first
    assert np.asarray(single.step(action)[0]["LAST_ACTION"]).tolist() == shown
    assert batch.reset()[0]["LAST_ACTION"].tolist() == [first, first]
    observation = batch.step(np.stack([action, action]))[0]
    assert observation in batch.observation_space
    assert observation["LAST_ACTION"].tolist() == [shown, shown]


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
@pytest.mark.parametrize("copied", [True, False])
def test_a_batch_shows_what_single_environments_show(mode: str, copied: bool) -> None:
    batch = VectorLastReward(
        VectorLastAction(gym.make_vec(DEFAULT_ID, num_envs=2, autoreset_mode=mode, copy=copied, **SHORT))
    )
    single = LastReward(LastAction(gym.make(DEFAULT_ID, **SHORT)))
    observation, _ = batch.reset(seed=7)
    expected, _ = single.reset(seed=7)
    over = False
    for step in range(9):
        assert observation in batch.observation_space
        for name, value in expected.items():
            np.testing.assert_array_equal(observation[name][0], value, err_msg=f"{name} before step {step}")
        observation, _, _, truncated, infos = batch.step(np.full(2, step))
        if over and mode == "NextStep":
            expected, over = single.reset()[0], False
            continue
        expected, _, _, over, _ = single.step(step)
        assert truncated[0] == over
        if over and mode == "SameStep":
            for name, value in expected.items():
                np.testing.assert_array_equal(infos["final_obs"][0][name], value)
            assert infos["final_obs"][0] in batch.single_observation_space
            expected, over = single.reset()[0], False


def test_a_reset_by_mask_leaves_the_others() -> None:
    env = VectorLastReward(
        VectorLastAction(
            gym.vector.SyncVectorEnv(
                [lambda: Counting(spaces.Discrete(4))] * 2, autoreset_mode=gym.vector.AutoresetMode.DISABLED
            ),
            one_hot=False,
        )
    )
    env.reset(seed=0)
    kept = env.step(np.array([1, 2]))[0]
    observation, _ = env.reset(options={"reset_mask": np.array([True, False])})
    assert observation["LAST_ACTION"].tolist() == [4, 2]
    assert observation["LAST_REWARD"].tolist() == [[0.0], [1.0]]
    assert kept["LAST_ACTION"].tolist() == [1, 2], "what was handed out stays as it was"


def test_refusals() -> None:
    env = gym.make(DEFAULT_ID, engine="litelab")
    with pytest.raises(ValueError, match="'LAST_ACTION' already"):
        LastAction(LastAction(env))
    with pytest.raises(ValueError, match="one_hot must be True or False, got 1"):
        LastAction(env, one_hot=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected Discrete, MultiDiscrete or Box"):
        LastAction(Counting(spaces.Text(3)))
