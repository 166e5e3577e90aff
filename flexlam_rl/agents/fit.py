"""Whether an environment is one that a policy was trained in."""

from typing import Any

from gymnasium import spaces

from flexlam_rl.agents.base import base_env
from flexlam_rl.agents.bundle import EnvironmentFacts

FRAME = "RGB_INTERLEAVED"


def environment_facts(env: Any) -> dict[str, Any]:
    """Action set, frame skip, frame size, engine and look of a (wrapped) environment or batch of this project; what it does not tell is left out."""
    base = base_env(env)
    found: dict[str, Any] = {}
    space = getattr(base, "single_observation_space", None) or getattr(base, "observation_space", None)
    image = space[FRAME] if isinstance(space, spaces.Dict) and FRAME in space.spaces else space
    if isinstance(image, spaces.Box) and len(image.shape) == 3:
        height, width = image.shape[1:] if image.shape[0] == 3 else image.shape[:2]
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


def check_environment(facts: EnvironmentFacts, env: Any, any_look: bool = False) -> None:
    """Refuse an environment that differs from the one trained in.

    Args:
        facts: What was trained in.
        env: A (wrapped) environment or batch.
        any_look: Accept another engine, textures or overlay.

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
