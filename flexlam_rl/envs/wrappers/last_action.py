"""Wrappers that show the last action, an input of DeepMind Lab's agents (IMPALA, arXiv:1802.01561; R2D2, ICLR 2019)."""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv

from flexlam_rl.envs.checks import flag
from flexlam_rl.envs.observations import FRAME
from flexlam_rl.envs.wrappers.extra_observation import ExtraObservation, VectorExtraObservation

NAME = "LAST_ACTION"


class _Encoding:
    """Converts actions of a space to observations.

    Attributes:
        space: Space of the observation.
        first: Observation that stands for no action.

    Raises:
        ValueError: The action space is not supported.
    """

    space: spaces.Space[Any]
    first: Any

    def __init__(self, actions: spaces.Space[Any], one_hot: bool) -> None:
        if isinstance(actions, spaces.Discrete):
            self._choices: Sequence[int] | None = (int(actions.n),)
            self._starts = np.array([actions.start])
        elif isinstance(actions, spaces.MultiDiscrete) and actions.nvec.ndim == 1:
            self._choices, self._starts = actions.nvec.tolist(), np.asarray(actions.start)
        elif isinstance(actions, spaces.Box):
            self._choices = None
        else:
            raise ValueError(
                f"LastAction was given the action space {actions}: expected Discrete, MultiDiscrete or Box."
            )
        self._one_hot = flag("one_hot", one_hot) and self._choices is not None
        self._shape: tuple[int, ...] = actions.shape or ()
        if isinstance(actions, spaces.Box):
            low, high = np.minimum(actions.low, 0), np.maximum(actions.high, 0)
            self.space = spaces.Box(low, high, dtype=actions.dtype.type)
        elif self._one_hot:
            self.space = spaces.Box(0.0, 1.0, (sum(self._choices or ()),), np.float32)
        elif isinstance(actions, spaces.Discrete):
            self.space = spaces.Discrete(int(actions.n) + 1, start=actions.start)
        elif isinstance(actions, spaces.MultiDiscrete):
            self.space = spaces.MultiDiscrete(actions.nvec + 1, dtype=actions.dtype.type, start=actions.start)
        if self._choices is None or self._one_hot:
            self.first = np.zeros(self.space.shape or (), self.space.dtype)
        else:
            self.first = (np.array(self._choices) + self._starts).reshape(self._shape).astype(self.space.dtype)

    def __call__(self, action: Any) -> np.ndarray:
        """Convert an action, or those of a batch."""
        if not self._one_hot:
            return np.array(action, self.space.dtype)
        each = np.asarray(action)
        lead = each.shape[: each.ndim - len(self._shape)]
        numbers = each.reshape(*lead, len(self._starts)) - self._starts
        parts = [np.eye(n, dtype=np.float32)[numbers[..., i]] for i, n in enumerate(self._choices or ())]
        return np.concatenate(parts, axis=-1)


class LastAction(ExtraObservation, RecordConstructorArgs):
    """Adds the last action to the observations as `LAST_ACTION`.

    Args:
        env: An environment with `Discrete`, `MultiDiscrete` or `Box` actions.
        one_hot: If True, each discrete dimension is shown as a one-hot float32 vector, all zeros before the first
            action. If False, it is shown as its number; the number of choices (counted from the space's start) stands
            for no action. Actions of a `Box` are shown as they are, and as zeros before the first action.
        frame: Name given to an observation that was bare.
    """

    def __init__(self, env: gym.Env[Any, Any], one_hot: bool = True, frame: str = FRAME) -> None:
        RecordConstructorArgs.__init__(self, one_hot=one_hot, frame=frame)
        self._encode = _Encoding(env.action_space, one_hot)
        ExtraObservation.__init__(self, env, NAME, self._encode.space, self._encode.first, frame)

    def value(self, action: Any, reward: Any) -> Any:
        """Convert the action to an observation."""
        return self._encode(action)[()]


class VectorLastAction(VectorExtraObservation):
    """`LastAction` for a batch in any autoreset mode; environments that begin an episode show no action.

    Args:
        env: The batch.
        one_hot, frame: As for `LastAction`.
    """

    def __init__(self, env: VectorEnv, one_hot: bool = True, frame: str = FRAME) -> None:
        self._encode = _Encoding(env.single_action_space, one_hot)
        super().__init__(env, NAME, self._encode.space, self._encode.first, frame)

    def value(self, action: Any, reward: Any) -> np.ndarray:
        """Convert the actions to observations."""
        return self._encode(action)
