"""The environment of this project behind wrappers, and its record."""

from dataclasses import replace
from typing import Any

import gymnasium as gym

from flexlam_rl.envs.observations import frame_size
from flexlam_rl.envs.spec import EnvSpec


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
    """Look at an attribute of the environment behind wrappers, or of the first one of a batch of processes.

    Returns:
        Its value, None where there is none of that name.
    """
    base = base_env(env)
    try:
        return getattr(base, name)
    except AttributeError:
        pass
    get_attr = getattr(base, "get_attr", None)  # processes, and a DummyVecEnv of several
    try:
        return None if get_attr is None else get_attr(name)[0]
    except AttributeError:
        return None


def env_spec_of(env: Any) -> EnvSpec | None:
    """Find the record of an environment or batch.

    Args:
        env: It, perhaps in wrappers; the frame size is the one that the outermost wrapper shows.

    Returns:
        The record, None for an environment that has none.
    """
    spec = attribute(env, "env_spec")
    if not isinstance(spec, EnvSpec):
        return None
    height, width = frame_size(env) or (spec.height, spec.width)
    return replace(spec, height=height, width=width)


def batch_size(env: Any) -> int:
    """Environments that act together: of a batch its number, else 1."""
    return int(getattr(base_env(env), "num_envs", 1))


def single_space(env: Any, name: str) -> gym.Space[Any] | None:
    """Find a space of one environment, as the outermost wrapper of an environment or batch has it.

    Args:
        env: It.
        name: "action_space" or "observation_space".

    Returns:
        The space, None where none is told.
    """
    told = (getattr(env, f"single_{name}", None), getattr(env, name, None))
    for found in (*told, attribute(env, f"single_{name}"), attribute(env, name)):
        if isinstance(found, gym.Space):
            return found
    return None


def action_count(env: Any) -> int:
    """Number of discrete actions from 0 of an environment, or of each of a batch; 0 for other actions."""
    space = single_space(env, "action_space")
    return int(space.n) if isinstance(space, gym.spaces.Discrete) and space.start == 0 else 0
