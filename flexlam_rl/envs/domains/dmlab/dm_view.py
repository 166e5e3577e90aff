"""A `dm_env.Environment` view of a Gymnasium environment, over either engine."""

from typing import Any

import dm_env
import gymnasium as gym
import numpy as np
from dm_env import specs
from gymnasium import spaces


def spec_of(space: spaces.Space, name: str) -> Any:
    """The dm_env spec of a Gymnasium space (nested dictionaries for a `Dict`).

    Raises:
        TypeError: dm_env has no such spec.
    """
    if isinstance(space, spaces.Dict):
        return {key: spec_of(part, key) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Discrete):
        return specs.DiscreteArray(int(space.n), name=name)
    if isinstance(space, spaces.Text):
        return specs.StringArray(shape=(), name=name)
    if isinstance(space, spaces.Box):
        if np.isfinite(space.low).all() and np.isfinite(space.high).all():
            return specs.BoundedArray(space.shape, space.dtype, space.low, space.high, name=name)
        return specs.Array(space.shape, space.dtype, name=name)
    raise TypeError(f"dm_env has no spec for the space {space}.")


def _value(observation: Any) -> Any:
    if isinstance(observation, dict):
        return {name: _value(part) for name, part in observation.items()}
    return np.array(observation, dtype=object) if isinstance(observation, str) else observation


class DmEnvView(dm_env.Environment):
    """A Gymnasium environment with dm_env's interface.

    A time-out is a last step with discount 1, an end by the rules one with discount 0. The next `step` begins an
    episode.

    Args:
        env: The environment; closing the view closes it.
        seed: Seed of the first episode; later ones continue the environment's stream.
    """

    def __init__(self, env: gym.Env[Any, Any], seed: int | None = None) -> None:
        self._env = env
        self._seed = seed
        self._needs_reset = True
        self._observation_spec = spec_of(env.observation_space, "observation")
        self._action_spec = spec_of(env.action_space, "action")
        self.info: dict[str, Any] = {}

    def reset(self) -> dm_env.TimeStep:
        """Begin an episode."""
        observation, self.info = self._env.reset(seed=self._seed)
        self._seed = None
        self._needs_reset = False
        return dm_env.restart(_value(observation))

    def step(self, action: Any) -> dm_env.TimeStep:
        """One step of the environment; its `info` stands in `self.info`."""
        if self._needs_reset:
            return self.reset()
        observation, reward, terminated, truncated, self.info = self._env.step(action)
        self._needs_reset = terminated or truncated
        if terminated:
            return dm_env.termination(reward=reward, observation=_value(observation))
        if truncated:
            return dm_env.truncation(reward=reward, observation=_value(observation))
        return dm_env.transition(reward=reward, observation=_value(observation))

    def observation_spec(self) -> Any:
        """Spec of the observations: an array, or a dictionary of them."""
        spec = self._observation_spec
        return dict(spec) if isinstance(spec, dict) else spec

    def action_spec(self) -> Any:
        """Spec of the actions."""
        return self._action_spec

    def close(self) -> None:
        """Close the environment."""
        self._env.close()


def dm_env_view(env: gym.Env[Any, Any], seed: int | None = None) -> DmEnvView:
    """A dm_env view of an environment made by `gym.make`, whatever its engine (needs the extra `dm_env`)."""
    return DmEnvView(env, seed)
