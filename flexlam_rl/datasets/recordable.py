"""Description of an environment for a store: origin, extra columns and actions."""

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np

from flexlam_rl.datasets.episode import is_planar
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.envs.action_spaces import action_spec_of
from flexlam_rl.envs.base import env_spec_of
from flexlam_rl.envs.observations import FRAME, WORDS
from flexlam_rl.envs.spec import ActionSpec, EnvSpec
from flexlam_rl.utils.errors import StoreError


def origin_of(
    env: Any, policy: str, policy_params: dict[str, Any] | None = None, seed: int = -1, **changes: Any
) -> Origin:
    """Describe where the data of an environment comes from, as far as the environment's attributes tell.

    Args:
        env: An environment, wrapped or not.
        policy, policy_params: Name and parameters of the policy that plays.
        seed: Root seed of the collection; -1 if unknown.
        **changes: Fields of `Origin` to override.
    """
    from flexlam_rl import __version__

    base, spec = env.unwrapped, env_spec_of(env)
    engine = "unknown" if spec is None else spec.engine
    known: dict[str, Any] = {
        "env_id": env.spec.id if env.spec is not None else type(base).__name__,
        "engine_version": str(getattr(base, "engine_version", __version__ if engine == "litelab" else "")),
        "policy": policy,
        "policy_params": policy_params or {},
        "seed": seed,
    }
    table = getattr(getattr(base, "action_set", None), "table", None)
    if spec is not None and spec.domain == "dmlab" and table is not None:
        known["action_table"] = tuple(tuple(map(int, row)) for row in table)
    else:
        known |= _actions_of(env, spec)
    if spec is None:
        spec = EnvSpec("", engine, frame_skip=getattr(base, "frame_skip", 1), look=())
    return Origin.of(spec, **{**known, **changes})


def _actions_of(env: Any, spec: EnvSpec | None) -> dict[str, Any]:
    """Describe the actions of an environment other than DeepMind Lab, as fields of an origin."""
    if spec is None and _looks_native(env.action_space):
        return {"action_set": str(env.action_space)}
    try:
        own = spec is not None and env.action_space == env.unwrapped.action_space
        actions = action_spec_of(env.action_space, spec.action_set if own and spec is not None else "")
    except ValueError:
        return {"action_set": str(env.action_space)}  # `actions_of` refuses such actions if they are to be stored
    if own and spec is not None:
        return {"actions": actions, "action_set": spec.action_set, "action_hash": spec.action_hash}
    return {"actions": actions, "action_set": str(env.action_space), "action_hash": actions.hash}


def columns_of(env: gym.Env[Any, Any]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Find the extra columns of an environment: types and shapes of its observations except picture and instruction.

    Raises:
        StoreError: The observations contain no picture, or something that a column cannot hold.
    """
    space = env.observation_space
    names = env.spec.kwargs.get("observations", ()) if env.spec is not None else ()
    if any(str(name).startswith("BGR") for name in names):
        raise StoreError(
            f"RecordRollouts cannot store the observations {', '.join(map(str, names))}: expected the color order red, "
            "green, blue."
        )
    rest = dict(space.spaces) if isinstance(space, gym.spaces.Dict) else {FRAME: space}
    image = rest.pop(FRAME, None)
    shape = image.shape if isinstance(image, gym.spaces.Box) and image.dtype == np.uint8 else ()
    if len(shape) != 3 or is_planar(shape):
        raise StoreError(
            f"RecordRollouts found no image among the observations {space}: expected uint8 (height, width, channels), "
            f"named {FRAME} in a Dict."
        )
    if isinstance(rest.get(WORDS), gym.spaces.Text):
        rest.pop(WORDS)
    extra = {}
    for name, inner in rest.items():
        if inner.shape is None or inner.dtype is None or inner.dtype.kind not in "biuf" or inner.dtype.itemsize > 8:
            raise StoreError(
                f"RecordRollouts cannot store the observation {name!r} ({inner}): expected numbers; leave it out of "
                "the environment's observations."
            )
        extra[name] = (inner.dtype.name, inner.shape)
    return extra


def actions_of(space: gym.Space[Any], origin: Origin) -> tuple[bool, int | ActionSpec]:
    """Find the arguments `native` and `actions` of an `EpisodeBuffer` for an environment.

    Args:
        space: Action space of the environment.
        origin: Origin of the store.

    Returns:
        Whether actions are DeepMind Lab's native ones, and the number of actions or their description.

    Raises:
        StoreError: A store cannot hold such actions, or they differ from those of the origin.
    """
    table = len(origin.action_table)
    if origin.actions is not None:
        try:
            found = action_spec_of(space)
        except ValueError as error:
            raise StoreError(f"RecordRollouts: {error}") from None
        if replace(found, name="", hash="") != replace(origin.actions, name="", hash=""):
            raise StoreError(
                f"RecordRollouts got the actions {space}: expected those of the origin given, {origin.actions}."
            )
        return False, origin.actions
    if isinstance(space, gym.spaces.Discrete) and space.start == 0 and space.n <= 2**15 and table in (0, space.n):
        return False, int(space.n)
    if not table and _looks_native(space):
        return True, 0
    wanted = (
        f"{table} discrete actions from 0" if table else "Discrete, MultiDiscrete, MultiBinary, or a Box of numbers"
    )
    raise StoreError(
        f"RecordRollouts cannot store the actions {space}: expected {wanted}; with_actions=False stores only the video."
    )


def _looks_native(space: gym.Space[Any]) -> bool:
    """Whether actions are seven 16-bit integers, like DeepMind Lab's native ones, whatever wrappers have done."""
    if not isinstance(space, gym.spaces.Box) or space.shape != (7,) or space.dtype.kind not in "iu":
        return False
    limits = np.iinfo(np.int16)
    return bool(space.low.min() >= limits.min and space.high.max() <= limits.max)
