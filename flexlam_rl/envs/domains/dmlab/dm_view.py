"""A `dm_env.Environment` view of a Gymnasium environment on either engine."""

from typing import Any

import dm_env
import gymnasium as gym
import numpy as np
from dm_env import specs
from gymnasium import spaces


def spec_of(space: spaces.Space, name: str) -> Any:
    """Make the dm_env spec of a Gymnasium space (a dictionary of specs for a `Dict`).

    Raises:
        TypeError: dm_env has no spec for this space.
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

    A truncated episode ends with discount 1, a terminated one with discount 0. The `step` after an end begins a new
    episode.

    Args:
        env: The environment; closing the view closes it too.
        seed: Seed of the first episode; later episodes continue the environment's stream.

    Attributes:
        info: The `info` of the last reset or step.
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
        """Step the environment, or begin an episode if none is running; `info` is kept in `self.info`."""
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
        """Spec of the observations: one spec, or a dictionary of specs."""
        spec = self._observation_spec
        return dict(spec) if isinstance(spec, dict) else spec

    def action_spec(self) -> Any:
        """Spec of the actions."""
        return self._action_spec

    def close(self) -> None:
        """Close the environment."""
        self._env.close()


def dm_env_view(env: gym.Env[Any, Any], seed: int | None = None) -> DmEnvView:
    """Make a dm_env view of an environment from `gym.make`, whatever its engine (needs the extra `dm_env`)."""
    return DmEnvView(env, seed)
