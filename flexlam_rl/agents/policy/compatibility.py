"""Checks that an environment is one that a policy was trained in."""

from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import spaces

from flexlam_rl.agents.policy.bundle import EnvironmentFacts
from flexlam_rl.agents.policy.observations import FRAME
from flexlam_rl.envs.action_spaces import space_of
from flexlam_rl.envs.base import env_spec_of, single_space
from flexlam_rl.envs.observations import frame_size
from flexlam_rl.envs.spec import ActionSpec, EnvSpec


def environment_spec(env: Any, unknown: EnvSpec) -> EnvSpec:
    """Return the record of a (wrapped) environment or batch; what it does not tell is taken from `unknown`."""
    height, width = frame_size(env) or (unknown.height, unknown.width)
    return env_spec_of(env) or replace(unknown, height=height, width=width)


def _image_space(env: Any) -> Any:
    space = single_space(env, "observation_space")
    return space[FRAME] if isinstance(space, spaces.Dict) and FRAME in space.spaces else space


def _takes(space: spaces.Space[Any], wanted: spaces.Space[Any]) -> bool:
    """Return whether a space is the wanted one; where the space has no bound, the wanted one may have any."""
    if not isinstance(space, spaces.Box) or not isinstance(wanted, spaces.Box):
        return bool(space == wanted)
    if space.shape != wanted.shape or space.dtype != wanted.dtype:
        return False
    low, high = (np.isinf(one) | (one == other) for one, other in ((space.low, wanted.low), (space.high, wanted.high)))
    return bool(low.all() and high.all())


def check_spaces(env: Any, actions: ActionSpec, channels: int) -> None:
    """Refuse an environment with other actions than a policy chooses, or without frames that the policy can read.

    Args:
        env: A (wrapped) environment or batch; without an action or observation space, that part is not checked.
        actions: Actions that the policy chooses.
        channels: Number of channels of a frame.

    Raises:
        ValueError: They differ; the message names both values.
    """
    space, wanted = single_space(env, "action_space"), space_of(actions)
    if space is not None and not _takes(space, wanted):
        raise ValueError(f"The policy was trained with the action space {wanted}; the environment has {space}.")
    image = _image_space(env)
    shown = (
        isinstance(image, spaces.Box)
        and len(image.shape) == 3
        and channels in (image.shape[0], image.shape[2])
        and image.dtype == np.uint8
    )
    if image is not None and not shown:
        raise ValueError(
            f"The policy was trained with uint8 frames of {channels} channels; the environment's observations are "
            f"{image}."
        )


def check_record(trained: EnvSpec, found: EnvSpec) -> None:
    """Refuse an environment of another domain (if it is known), or with other actions, frame skip or frame size.

    Args:
        trained: Record of the environment that the policy was trained in.
        found: Record of the environment to play.

    Raises:
        ValueError: They differ; the message names the first difference, with both values.
    """
    pairs = {
        "domain": (trained.domain or found.domain, found.domain),
        "action set": (trained.action_set, found.action_set),
        "action hash": (trained.action_hash, found.action_hash),
        "frame skip": (trained.frame_skip, found.frame_skip),
        "frame size": ((trained.height, trained.width), (found.height, found.width)),
    }
    for name, (mine, theirs) in pairs.items():
        if mine != theirs:
            raise ValueError(f"The policy was trained with {name} {mine!r}; the environment has {theirs!r}.")


def check_environment(
    facts: EnvironmentFacts, env: Any, any_look: bool = False, actions: ActionSpec | None = None, channels: int = 3
) -> None:
    """Refuse an environment that differs from the one that a policy was trained in.

    Args:
        facts: The environment that the policy was trained in.
        env: A (wrapped) environment or batch.
        any_look: Whether to accept another engine, textures or overlay.
        actions: Actions that the policy chooses; None leaves the spaces unchecked.
        channels: Number of channels of a frame.

    Raises:
        ValueError: They differ; the message names the first difference, with both values.
    """
    trained = facts.spec
    found = environment_spec(env, trained)
    check_record(trained, found)
    if actions is not None:
        check_spaces(env, actions, channels)
    if any_look:
        return
    looks = {
        "engine": ((facts.engine,), found.engine),
        "look": (facts.textures, found.textures),
        "overlay": ((facts.hud,), found.hud),
        **{name: ((value,), dict(found.look).get(name, "")) for name, value in facts.look},
    }
    for name, (values, value) in looks.items():
        if value not in values:
            known = " and ".join(map(repr, values))
            raise ValueError(
                f"The policy was trained with {name} {known}; the environment has {value!r}: use any_look=True, "
                "or on the command line --any-look, to play it nevertheless."
            )
