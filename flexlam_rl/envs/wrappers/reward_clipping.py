"""Asymmetric reward clipping, used by agents that train on many levels of DeepMind Lab at once."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv, VectorRewardWrapper


def clip_reward(reward: Any, negative: float = 0.3, positive: float = 5.0, scale: float = 5.0) -> Any:
    """Squash a reward r to negative * min(tanh(r / scale), 0) + positive * max(tanh(r / scale), 0).

    This is the "optimistic asymmetric clipping" of IMPALA (arXiv:1802.01561), which R2D2 (ICLR 2019) also uses for
    DeepMind Lab. Punishments weigh less than rewards, so that an agent does not stop exploring to avoid them. IMPALA's
    released code uses `negative=1.5`, its paper 0.3.

    Args:
        reward: A number, or an array of numbers.
        negative: Limit of negative results: they lie above -negative.
        positive: Limit of positive results.
        scale: Scale of rewards: a reward of `scale` gives tanh(1) = 0.76 of the limit.
    """
    squeezed = np.tanh(np.asarray(reward) / scale)
    return (negative * np.minimum(squeezed, 0.0) + positive * np.maximum(squeezed, 0.0))[()]


def _checked(negative: float, positive: float, scale: float) -> dict[str, Any]:
    given = {"negative": negative, "positive": positive, "scale": scale}
    for name, value in given.items():
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not number or not 0 < value < np.inf:
            raise ValueError(f"{name} must be a number above 0, got {value!r}.")
    return {name: float(value) for name, value in given.items()}


class AsymmetricRewardClipping(gym.RewardWrapper[Any, Any], RecordConstructorArgs):
    """Clips rewards with `clip_reward`.

    Scores are computed from unclipped rewards, so put `RecordEpisodeStatistics` inside this wrapper.

    Args:
        env: The environment.
        negative, positive, scale: As for `clip_reward`.

    Raises:
        ValueError: One of these is not a finite number above 0.
    """

    def __init__(
        self, env: gym.Env[Any, Any], negative: float = 0.3, positive: float = 5.0, scale: float = 5.0
    ) -> None:
        self._factors = _checked(negative, positive, scale)
        RecordConstructorArgs.__init__(self, **self._factors)
        gym.RewardWrapper.__init__(self, env)

    def reward(self, reward: Any) -> Any:
        """Clip a reward."""
        return float(clip_reward(reward, **self._factors))


class VectorAsymmetricRewardClipping(VectorRewardWrapper):
    """`AsymmetricRewardClipping` for a batch.

    Args:
        env: The batch.
        negative, positive, scale: As for `clip_reward`.

    Raises:
        ValueError: One of these is not a finite number above 0.
    """

    def __init__(self, env: VectorEnv, negative: float = 0.3, positive: float = 5.0, scale: float = 5.0) -> None:
        super().__init__(env)
        self._factors = _checked(negative, positive, scale)

    def rewards(self, reward: np.ndarray) -> np.ndarray:
        """Clip rewards, (N,)."""
        return np.asarray(clip_reward(reward, **self._factors))
