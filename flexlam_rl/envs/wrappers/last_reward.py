"""Wrappers that show the last reward, an input of DeepMind Lab's agents (IMPALA, arXiv:1802.01561; R2D2, ICLR 2019)."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv

from flexlam_rl.envs.observations import FRAME
from flexlam_rl.envs.wrappers.extra_observation import ExtraObservation, VectorExtraObservation

NAME = "LAST_REWARD"


def _space() -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, (1,), np.float32)


class LastReward(ExtraObservation, RecordConstructorArgs):
    """Adds the last reward to the observations as `LAST_REWARD`, (1,) float32, which is 0 before the first reward.

    Outside a wrapper that clips rewards it shows the clipped reward, inside it the environment's own.

    Args:
        env: The environment.
        frame: Name given to an observation that was bare.
    """

    def __init__(self, env: gym.Env[Any, Any], frame: str = FRAME) -> None:
        RecordConstructorArgs.__init__(self, frame=frame)
        ExtraObservation.__init__(self, env, NAME, _space(), np.zeros(1, np.float32), frame)

    def value(self, action: Any, reward: Any) -> np.ndarray:
        """The reward, (1,)."""
        return np.array([reward], np.float32)


class VectorLastReward(VectorExtraObservation):
    """`LastReward` for a batch in any autoreset mode: (N, 1) float32.

    Args:
        env: The batch.
        frame: As for `LastReward`.
    """

    def __init__(self, env: VectorEnv, frame: str = FRAME) -> None:
        super().__init__(env, NAME, _space(), np.zeros(1, np.float32), frame)

    def value(self, action: Any, reward: Any) -> np.ndarray:
        """The rewards, (N, 1)."""
        return np.asarray(reward, np.float32)[:, None]
