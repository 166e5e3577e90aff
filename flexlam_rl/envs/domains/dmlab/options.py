"""Checks of an environment's options, shared by both engines."""

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flexlam_rl.envs.checks import flag, integer, is_integer, one_of
from flexlam_rl.envs.domains.dmlab.actions import ActionSet
from flexlam_rl.envs.domains.dmlab.actions import action_set as find_action_set
from flexlam_rl.envs.domains.dmlab.levels import LEVELS, OWN, level_named
from flexlam_rl.envs.domains.dmlab.spaces import check_names
from flexlam_rl.envs.litelab.settings import TEXTURES
from flexlam_rl.envs.spec import EnvSpec

ENGINES = ("auto", "litelab", "deepmind_lab")
HUDS = ("full", "reduced", "none")
ORIGINAL = "original"  # the only look of the real engine
EVALUATION_CONFIG = {"mixerSeed": str(0x600D5EED), "allowHoldOutLevels": "true"}


@dataclass(frozen=True)
class Options:
    """Checked options of `DMLabEnv`, which documents them.

    Attributes:
        path: DeepMind Lab's name of the level, with its folder.
        spec: How the level is shown and controlled; its engine is never "auto".
    """

    level: str
    path: str
    spec: EnvSpec
    observations: tuple[str, ...]
    render_mode: str | None
    render_size: tuple[int, int]
    evaluation: bool
    config: dict[str, str]
    level_cache: str | None
    reopen: bool


def _multiple_of_four(value: object) -> bool:
    return is_integer(value) and 0 < value < 2**31 and value % 4 == 0  # type: ignore[operator]


def _size(given: Any) -> tuple[int, int]:
    size = tuple(given) if isinstance(given, Sequence | np.ndarray) and not isinstance(given, str) else ()
    if len(size) != 2 or not all(map(_multiple_of_four, size)):
        raise ValueError(f"render_size must be width and height, positive multiples of 4, got {given!r}.")
    return int(size[0]), int(size[1])


def _strings(config: Any) -> dict[str, str]:
    if config is None:
        return {}
    if not isinstance(config, Mapping):
        raise ValueError(f"config must map strings to strings, got {config!r}.")
    for key, text in config.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise ValueError(f"config must map strings to strings, got {key!r}: {text!r}.")
        if key in ("width", "height", "levelName", "fps", "textures"):
            raise ValueError(f"config must not hold {key!r}: it is an option of the environment, or fixed.")
    return dict(config)


def choose_engine(engine: str) -> str:
    """Resolve an engine's name: "auto" stands for the real engine if it can be imported, else for litelab.

    Raises:
        ValueError: There is no engine of that name.
    """
    one_of("engine", engine, ENGINES)
    if engine != "auto":
        return engine
    try:
        importlib.import_module("deepmind_lab")
    except ImportError:
        return "litelab"
    return "deepmind_lab"


def check_spec(
    engine: str,
    action_set: str | ActionSet,
    frame_skip: int,
    width: int,
    height: int,
    hud: str,
    textures: str,
) -> EnvSpec:
    """Check the options of `DMLabEnv` that say how a level is shown and controlled.

    Returns:
        The record. Its engine is resolved, it has the hash of the action set, and on the real engine `textures` is
        "original".

    Raises:
        ValueError: An option is not allowed.
    """
    chosen = choose_engine(engine)
    for key, value in (("width", width), ("height", height)):
        if not _multiple_of_four(value):
            raise ValueError(f"{key} must be a positive multiple of 4, got {value!r}.")
    frames = integer("frame_skip", frame_skip)
    one_of("hud", hud, HUDS)
    one_of("textures", textures, TEXTURES)
    actions = find_action_set(action_set)
    return EnvSpec(
        domain="dmlab",
        engine=chosen,
        action_set=actions.name,
        action_hash=actions.hash,
        frame_skip=frames,
        width=int(width),
        height=int(height),
        look=(("hud", hud), ("textures", textures if chosen == "litelab" else ORIGINAL)),
    )


def check_options(
    spec: EnvSpec,
    level: str,
    observations: Sequence[str],
    render_mode: str | None,
    render_size: Sequence[int],
    evaluation: bool,
    config: Mapping[str, str] | None,
    level_cache: str | None,
    reopen: bool = True,
) -> Options:
    """Check the remaining options of `DMLabEnv`.

    Args:
        spec: Result of `check_spec`.
        level, observations, render_mode, render_size, evaluation, config, level_cache, reopen: As for `DMLabEnv`.

    Raises:
        ValueError: An option is not allowed.
    """
    real = spec.engine != "litelab"
    if real and isinstance(level, str) and "/" in level and level.split("/")[-1] not in LEVELS | OWN:
        name, path = level, level  # the real engine also has levels that are not in LEVELS
    else:
        found = level_named(level)
        name, path = found.name, found.path
        if real and name in OWN:
            raise ValueError(f"{name} is a level of litelab, which {spec.engine} does not have: use engine='litelab'.")
    held_out, shape = flag("evaluation", evaluation), _size(render_size)
    one_of("render_mode", render_mode, (None, "rgb_array", "human"))
    if not (level_cache is None or isinstance(level_cache, str | os.PathLike)) or level_cache == "":
        raise ValueError(f"level_cache must be a folder or None, got {level_cache!r}.")
    strings = _strings(config)
    if spec.hud != "full":
        strings["minimalUI" if spec.hud == "none" else "reducedUI"] = "true"
    if held_out:
        strings |= EVALUATION_CONFIG
    strings |= {"width": str(spec.width), "height": str(spec.height)}
    if not real:
        strings["textures"] = spec.textures
    names = check_names(observations)
    cache = None if level_cache is None else os.fspath(level_cache)
    return Options(name, path, spec, names, render_mode, shape, held_out, strings, cache, flag("reopen", reopen))
