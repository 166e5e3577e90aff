"""Options of an environment, checked once for either engine, and the choice of the engine."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from flexlam_rl.envs.levels import LEVELS, level_named
from flexlam_rl.envs.litelab.settings import TEXTURES
from flexlam_rl.envs.spaces import check_names

ENGINES = ("auto", "litelab", "deepmind_lab")
HUDS = ("full", "reduced", "none")
EVALUATION_CONFIG = {"mixerSeed": str(0x600D5EED), "allowHoldOutLevels": "true"}


class Engine(Protocol):
    """What an environment needs of an engine; observations are bare for one name, else dictionaries."""

    name: str
    players: int
    has_events: bool

    def reset(self, seed: int) -> Any:
        """Begin the episode of a seed in [0, 2**31) and return its first observation."""

    def prepare(self, action: Sequence[int]) -> np.ndarray:
        """Seven native actions in the form that `step` takes."""

    def step(self, action: np.ndarray, frames: int) -> tuple[Any, float, int, int, int]:
        """Play frames of a prepared action.

        Returns (observation, reward, end, map restarts, frames played); `end` is 0 running, 1 terminated, 2 truncated.
        """

    def picture(self, width: int, height: int) -> np.ndarray:
        """The player's view, (height, width, 3) uint8."""

    def events(self) -> list[tuple[str, list[Any]]]:
        """Events since the last call."""

    def close(self) -> object:
        """Release the engine."""


@dataclass(frozen=True)
class Options:
    """Checked options; `engine` is the engine itself, never "auto", and `path` what DeepMind Lab calls the level."""

    level: str
    path: str
    engine: str
    frame_skip: int
    width: int
    height: int
    observations: tuple[str, ...]
    render_mode: str | None
    render_size: tuple[int, int]
    evaluation: bool
    config: dict[str, str]
    level_cache: str | None
    reopen: bool = True


def _is_int(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _one_of(name: str, value: object, allowed: Sequence[object]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}.")


def choose_engine(engine: str) -> str:
    """The engine that "auto" stands for here: the real one if it can be imported, else litelab."""
    _one_of("engine", engine, ENGINES)
    if engine != "auto":
        return engine
    try:
        importlib.import_module("deepmind_lab")
    except ImportError:
        return "litelab"
    return "deepmind_lab"


def check_options(
    level: str,
    engine: str,
    frame_skip: int,
    width: int,
    height: int,
    observations: Sequence[str],
    hud: str,
    textures: str,
    render_mode: str | None,
    render_size: Sequence[int],
    evaluation: bool,
    config: Mapping[str, str] | None,
    level_cache: str | None,
) -> Options:
    """Check the options of `DMLabEnv` (which documents them).

    Raises:
        ValueError: One is not allowed.
    """
    chosen = choose_engine(engine)
    if chosen == "deepmind_lab" and isinstance(level, str) and "/" in level and level.split("/")[-1] not in LEVELS:
        name, path = level, level  # the real engine has more levels than litelab
    else:
        found = level_named(level)
        name, path = found.name, found.path
    for key, value in (("width", width), ("height", height)):
        if not _is_int(value) or value <= 0 or value % 4:
            raise ValueError(f"{key} must be a positive multiple of 4, got {value!r}.")
    if not _is_int(frame_skip) or frame_skip < 1:
        raise ValueError(f"frame_skip must be an integer of at least 1, got {frame_skip!r}.")
    size = tuple(render_size)
    if len(size) != 2 or not all(_is_int(v) and v > 0 and v % 4 == 0 for v in size):
        raise ValueError(f"render_size must be width and height, positive multiples of 4, got {render_size!r}.")
    _one_of("hud", hud, HUDS)
    _one_of("textures", textures, TEXTURES)
    _one_of("render_mode", render_mode, (None, "rgb_array", "human"))
    strings = dict(config or {})
    for key, text in strings.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise ValueError(f"config must map strings to strings, got {key!r}: {text!r}.")
        if key in ("width", "height", "levelName", "fps", "textures"):
            raise ValueError(f"config must not hold {key!r}: it is an option of the environment, or fixed.")
    if hud != "full":
        strings["minimalUI" if hud == "none" else "reducedUI"] = "true"
    if evaluation:
        strings |= EVALUATION_CONFIG
    strings |= {"width": str(width), "height": str(height)}
    if chosen == "litelab":
        strings["textures"] = textures
    names = check_names(observations)
    shape = (int(size[0]), int(size[1]))
    return Options(name, path, chosen, int(frame_skip), int(width), int(height), names, render_mode, shape, bool(evaluation), strings, level_cache)


def make_engine(options: Options) -> Engine:
    """The engine of checked options."""
    if options.engine == "litelab":
        from flexlam_rl.envs.litelab.single import LitelabEngine

        return LitelabEngine(options.path, options.observations, options.config)
    from flexlam_rl.envs.real_engine import RealEngine

    return RealEngine(options)
