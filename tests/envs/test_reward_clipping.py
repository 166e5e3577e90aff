"""The asymmetric clipping of rewards."""

from math import tanh
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import flexlam_rl  # noqa: F401
from flexlam_rl.envs import AsymmetricRewardClipping, VectorAsymmetricRewardClipping
from flexlam_rl.envs.registration import DEFAULT_ID
from flexlam_rl.envs.wrappers.reward_clipping import clip_reward


def test_the_curve() -> None:
    assert clip_reward(0.0) == 0.0
    assert clip_reward(10.0) == pytest.approx(5 * tanh(2))
    assert clip_reward(-10.0) == pytest.approx(-0.3 * tanh(2))
    assert clip_reward(1e9) == 5.0 and clip_reward(-1e9) == -0.3
    assert clip_reward(-10.0, negative=1.5) == pytest.approx(-1.5 * tanh(2)), "IMPALA's released code"
    np.testing.assert_allclose(clip_reward(np.array([1.0, -1.0])), [5 * tanh(0.2), -0.3 * tanh(0.2)])


class Paying(gym.Env[Any, Any]):
    observation_space = gym.spaces.Discrete(2)
    action_space = gym.spaces.Box(-100, 100, (), np.float64)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return 0, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return 0, float(action), False, False, {}


def test_single_and_batch() -> None:
    single = AsymmetricRewardClipping(Paying())
    single.reset()
    reward = single.step(np.array(-10.0))[1]
    assert type(reward) is float and reward == pytest.approx(-0.3 * tanh(2))
    batch = VectorAsymmetricRewardClipping(gym.vector.SyncVectorEnv([Paying] * 2))
    batch.reset()
    rewards = batch.step(np.array([10.0, -10.0]))[1]
    np.testing.assert_allclose(rewards, [5 * tanh(2), -0.3 * tanh(2)])


def test_its_arguments_are_recorded() -> None:
    env = AsymmetricRewardClipping(gym.make(DEFAULT_ID, engine="litelab"), negative=1.5)
    again = gym.make(env.spec)
    assert again.spec.additional_wrappers[-1].kwargs == {"negative": 1.5, "positive": 5.0, "scale": 5.0}


@pytest.mark.parametrize("given", [{"negative": -0.3}, {"positive": "5"}, {"scale": 0}, {"scale": True}])
def test_refusals(given: dict[str, Any]) -> None:
    name = next(iter(given))
    for make in (
        lambda: AsymmetricRewardClipping(Paying(), **given),
        lambda: VectorAsymmetricRewardClipping(gym.vector.SyncVectorEnv([Paying]), **given),
    ):
        with pytest.raises(ValueError, match=f"{name} must be a number above 0"):
            make()
