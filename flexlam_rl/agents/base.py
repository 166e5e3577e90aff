"""The environment of this project behind wrappers."""

from typing import Any

import gymnasium as gym


def base_env(env: Any) -> Any:
    """The unwrapped environment or batch behind Gymnasium's wrappers and Stable-Baselines3's views; what is no view
    comes back as it is.
    """
    while not isinstance(env, gym.Env | gym.vector.VectorEnv):
        several = getattr(env, "envs", None)  # a DummyVecEnv
        inner = (
            several[0]
            if several is not None and len(several) == 1
            else getattr(env, "venv", None) or getattr(env, "env", None)
        )
        if inner is None:
            return env
        env = inner
    return env.unwrapped


def batch_size(env: Any) -> int:
    """Environments that act together: of a batch its number, else 1."""
    return int(getattr(base_env(env), "num_envs", 1))


def action_count(env: Any) -> int:
    """Number of discrete actions of an environment, or of each of a batch; 0 for native actions."""
    base = base_env(env)
    space = getattr(base, "single_action_space", None) or base.action_space
    return int(space.n) if isinstance(space, gym.spaces.Discrete) else 0
