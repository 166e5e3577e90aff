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


def attribute(env: Any, name: str) -> Any:
    """An attribute of an environment, or of the first of a batch of processes; None where there is none."""
    try:
        return getattr(env, name)
    except AttributeError:
        pass
    get_attr = getattr(env, "get_attr", None)  # processes of the real engine
    try:
        return None if get_attr is None else get_attr(name)[0]
    except AttributeError:
        return None


def batch_size(env: Any) -> int:
    """Environments that act together: of a batch its number, else 1."""
    return int(getattr(base_env(env), "num_envs", 1))


def action_count(env: Any) -> int:
    """Number of discrete actions of an environment, or of each of a batch; 0 for native actions."""
    base = base_env(env)
    space = getattr(base, "single_action_space", None) or base.action_space
    return int(space.n) if isinstance(space, gym.spaces.Discrete) else 0


def shows_last_frame(env: Any) -> bool:
    """Whether the observation after an episode's last action is a true one; the real DeepMind Lab has none."""
    return attribute(base_env(env), "engine") != "deepmind_lab"
