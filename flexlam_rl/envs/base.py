"""Access to the environment behind wrappers, and to its record."""

from dataclasses import replace
from typing import Any

import gymnasium as gym

from flexlam_rl.envs.observations import frame_size
from flexlam_rl.envs.spec import EnvSpec


def base_env(env: Any) -> Any:
    """Unwrap an environment or batch: the one behind Gymnasium's wrappers and Stable-Baselines3's vector environments.

    Anything else is returned as it is.
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
    """Read an attribute of the environment behind wrappers; in a batch of processes, that of the first environment.

    Returns:
        The value, or None if there is no such attribute.
    """
    base = base_env(env)
    try:
        return getattr(base, name)
    except AttributeError:
        pass
    get_attr = getattr(base, "get_attr", None)  # batches of processes, and a DummyVecEnv of several environments
    try:
        return None if get_attr is None else get_attr(name)[0]
    except AttributeError:
        return None


def env_spec_of(env: Any) -> EnvSpec | None:
    """Find the record of an environment or batch.

    Args:
        env: The environment or batch, wrapped or not. The record gets the frame size of the outermost wrapper.

    Returns:
        The record, or None if the environment has none.
    """
    spec = attribute(env, "env_spec")
    if not isinstance(spec, EnvSpec):
        return None
    height, width = frame_size(env) or (spec.height, spec.width)
    return replace(spec, height=height, width=width)


def level_names(env: Any) -> list[str]:
    """Read the name of the level, or task, of each environment of a batch or of a single one; "" where it has none."""
    base = base_env(env)
    names = getattr(base, "levels", None)
    if names is None and hasattr(base, "num_envs"):
        try:
            names = base.get_attr("level")
        except AttributeError:
            names = [""] * base.num_envs
    return [str(name) for name in ([getattr(base, "level", "")] if names is None else names)]


def batch_size(env: Any) -> int:
    """Number of environments in a batch; 1 for a single environment."""
    return int(getattr(base_env(env), "num_envs", 1))


def single_space(env: Any, name: str) -> gym.Space[Any] | None:
    """Find the space of a single environment, as the outermost wrapper shows it.

    Args:
        env: An environment or batch.
        name: "action_space" or "observation_space".

    Returns:
        The space, or None if there is none.
    """
    told = (getattr(env, f"single_{name}", None), getattr(env, name, None))
    for found in (*told, attribute(env, f"single_{name}"), attribute(env, name)):
        if isinstance(found, gym.Space):
            return found
    return None


def action_count(env: Any) -> int:
    """Number of actions of an environment or of each one in a batch; 0 unless the space is a `Discrete` from 0 on."""
    space = single_space(env, "action_space")
    return int(space.n) if isinstance(space, gym.spaces.Discrete) and space.start == 0 else 0
