"""Base classes of wrappers that add an observation, for an environment and for a batch in any autoreset mode."""

from abc import ABC, abstractmethod
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from flexlam_rl.envs.observations import FRAME


def _extended(space: spaces.Space[Any], name: str, extra: spaces.Space[Any], frame: str) -> spaces.Dict:
    """Add an observation to a space; a bare observation gets the name `frame`.

    Raises:
        ValueError: There is already an observation of that name.
    """
    parts = dict(space.spaces) if isinstance(space, spaces.Dict) else {frame: space}
    if name in parts:
        raise ValueError(f"The environment has an observation {name!r} already: expected observations without it.")
    return spaces.Dict({**parts, name: extra})


def _join(observation: Any, name: str, value: Any, frame: str) -> dict[str, Any]:
    return {**(observation if isinstance(observation, dict) else {frame: observation}), name: value}


class ExtraObservation(gym.Wrapper[Any, Any, Any, Any], ABC):
    """Adds a value computed from the last action or reward to the observations, which become a dictionary.

    Args:
        env: The environment.
        name: Name of the new observation.
        space: Space of the new observation.
        first: Value of the new observation at the beginning of an episode.
        frame: Name given to an observation that was bare.
    """

    def __init__(
        self, env: gym.Env[Any, Any], name: str, space: spaces.Space[Any], first: Any, frame: str = FRAME
    ) -> None:
        gym.Wrapper.__init__(self, env)
        self._name, self._first, self._frame = name, first, frame
        self.observation_space = _extended(env.observation_space, name, space, frame)

    @abstractmethod
    def value(self, action: Any, reward: Any) -> Any:
        """Compute the new observation after a step."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the environment; the new observation is `first`."""
        observation, info = self.env.reset(seed=seed, options=options)
        return _join(observation, self._name, np.copy(self._first)[()], self._frame), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment; the new observation is `value` of this step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        joined = _join(observation, self._name, self.value(action, reward), self._frame)
        return joined, reward, terminated, truncated, info


class VectorExtraObservation(VectorWrapper[Any, Any, Any, Any, np.ndarray], ABC):
    """`ExtraObservation` for a batch; environments that begin an episode show `first`.

    Args:
        env: The batch.
        name, space, first, frame: As for `ExtraObservation`, for a single environment.
    """

    def __init__(self, env: VectorEnv, name: str, space: spaces.Space[Any], first: Any, frame: str = FRAME) -> None:
        super().__init__(env)
        self._name, self._first, self._frame = name, first, frame
        self.single_observation_space = _extended(env.single_observation_space, name, space, frame)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self._values = np.stack([np.asarray(first)] * env.num_envs)
        self._over = np.zeros(env.num_envs, np.bool_)  # episodes that have ended and are reset by the next step
        mode = env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
        self._next, self._same = mode is AutoresetMode.NEXT_STEP, mode is AutoresetMode.SAME_STEP

    @abstractmethod
    def value(self, action: Any, reward: Any) -> np.ndarray:
        """Compute the new observations after a step, one per environment."""

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the environments; those that begin an episode show `first`."""
        mask = (options or {}).get("reset_mask")  # read first, because Gymnasium's batches remove it from the options
        observations, infos = self.env.reset(seed=seed, options=options)
        which = np.ones(self.num_envs, np.bool_) if mask is None else mask
        self._values[which], self._over[which] = self._first, False
        return self._joined(observations), infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step the environments; new observations are `value` of this step, also in `final_obs`."""
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        self._values = np.array(self.value(actions, rewards), self._values.dtype)
        done = terminations | truncations
        if self._next:
            self._values[self._over] = self._first  # this step only began their episodes
            self._over = done
        elif self._same and done.any():
            for i in np.flatnonzero(done).tolist():
                value = self._values[i].copy()
                infos["final_obs"][i] = _join(infos["final_obs"][i], self._name, value, self._frame)
            self._values[done] = self._first
        return self._joined(observations), rewards, terminations, truncations, infos

    def _joined(self, observations: Any) -> dict[str, Any]:
        return _join(observations, self._name, self._values.copy(), self._frame)
