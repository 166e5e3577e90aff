"""Whether an environment is one that a policy was trained in."""

from typing import Any

import numpy as np
from gymnasium import spaces

from flexlam_rl.agents.base import base_env
from flexlam_rl.agents.policy.bundle import EnvironmentFacts
from flexlam_rl.agents.policy.observations import FRAME
from flexlam_rl.models.flexlam.config import ActionSpec


def environment_facts(env: Any) -> dict[str, Any]:
    """Action set, frame skip, frame size, engine and look of a (wrapped) environment or batch of this project; what it
    does not tell is left out.
    """
    base = base_env(env)
    found: dict[str, Any] = {}
    image = _image_space(env)
    if isinstance(image, spaces.Box) and len(image.shape) == 3:
        height, width = image.shape[1:] if image.shape[0] in (1, 3, 4) else image.shape[:2]
        found["frame size"] = (int(height), int(width))
    values = {name: _attribute(base, name) for name in ("action_set", "frame_skip", "engine", "textures", "hud")}
    if values["action_set"] is not None:
        found["action set"], found["action hash"] = values["action_set"].name, values["action_set"].hash
    names = {"frame_skip": "frame skip", "engine": "engine", "textures": "look", "hud": "overlay"}
    return found | {words: values[name] for name, words in names.items() if values[name] is not None}


def _attribute(base: Any, name: str) -> Any:
    try:
        return getattr(base, name)
    except AttributeError:
        pass
    get_attr = getattr(base, "get_attr", None)  # processes of the real engine
    try:
        return None if get_attr is None else get_attr(name)[0]
    except AttributeError:
        return None


def _space(env: Any, name: str) -> Any:
    """A single environment's space, as the outermost wrapper has it; None where it tells none."""
    for layer in (env, base_env(env)):
        for found in (_attribute(layer, f"single_{name}"), _attribute(layer, name)):
            if isinstance(found, spaces.Space):
                return found
    return None


def _image_space(env: Any) -> Any:
    space = _space(env, "observation_space")
    return space[FRAME] if isinstance(space, spaces.Dict) and FRAME in space.spaces else space


def check_spaces(env: Any, actions: ActionSpec, channels: int) -> None:
    """Refuse an environment that takes other actions than a policy chooses, or shows no frames that it takes.

    Args:
        env: A (wrapped) environment or batch; what tells no space is not checked.
        actions: What the policy chooses.
        channels: Of a frame.

    Raises:
        ValueError: The difference, with both values.
    """
    space = _space(env, "action_space")
    if actions.continuous:
        fits = isinstance(space, spaces.Box) and not actions.discrete and space.shape == (actions.continuous,)
        wanted = f"{actions.discrete} choices and {actions.continuous} numbers"
    elif len(actions.discrete) == 1:
        fits = isinstance(space, spaces.Discrete) and space.n == actions.discrete[0] and space.start == 0
        wanted = str(spaces.Discrete(actions.discrete[0]))
    else:
        fits = (
            isinstance(space, spaces.MultiDiscrete)
            and tuple(space.nvec.ravel()) == actions.discrete
            and not space.start.any()
        )
        wanted = str(spaces.MultiDiscrete(list(actions.discrete)))
    if space is not None and not fits:
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


def check_environment(
    facts: EnvironmentFacts, env: Any, any_look: bool = False, actions: ActionSpec | None = None, channels: int = 3
) -> None:
    """Refuse an environment that differs from the one trained in.

    Args:
        facts: What was trained in.
        env: A (wrapped) environment or batch.
        any_look: Accept another engine, textures or overlay.
        actions: What the policy chooses; None leaves the spaces unchecked.
        channels: Of a frame.

    Raises:
        ValueError: The first difference, with both values.
    """
    found = environment_facts(env)
    mine: dict[str, Any] = {
        "action set": facts.action_set,
        "action hash": facts.action_hash,
        "frame skip": facts.frame_skip,
        "frame size": (facts.height, facts.width),
    }
    for name, value in mine.items():
        if name in found and found[name] != value:
            raise ValueError(f"The policy was trained with {name} {value!r}; the environment has {found[name]!r}.")
    if actions is not None:
        check_spaces(env, actions, channels)
    if any_look:
        return
    looks = {"engine": (facts.engine,), "look": facts.textures, "overlay": (facts.hud,)}
    for name, values in looks.items():
        if name in found and found[name] not in values:
            known = " and ".join(map(repr, values))
            raise ValueError(
                f"The policy was trained with {name} {known}; the environment has {found[name]!r}: "
                "any_look=True, on the command line --any-look, plays it nevertheless."
            )
