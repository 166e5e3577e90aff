"""Options of an environment, checked once for either engine, and the choice of the engine."""

import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from flexlam_rl.envs.checks import flag, integer, one_of
from flexlam_rl.envs.domains.dmlab.levels import LEVELS, level_named
from flexlam_rl.envs.domains.dmlab.spaces import check_names
from flexlam_rl.envs.errors import ConfigRefused
from flexlam_rl.envs.litelab.settings import TEXTURES
from flexlam_rl.utils.numbers import is_integer

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
    """The engine that "auto" stands for here: the real one if it can be imported, else litelab."""
    one_of("engine", engine, ENGINES)
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
        if not _multiple_of_four(value):
            raise ValueError(f"{key} must be a positive multiple of 4, got {value!r}.")
    frames = integer("frame_skip", frame_skip)
    held_out = flag("evaluation", evaluation)
    shape = _size(render_size)
    one_of("hud", hud, HUDS)
    one_of("textures", textures, TEXTURES)
    one_of("render_mode", render_mode, (None, "rgb_array", "human"))
    if not (level_cache is None or isinstance(level_cache, str | os.PathLike)) or level_cache == "":
        raise ValueError(f"level_cache must be a folder or None, got {level_cache!r}.")
    strings = _strings(config)
    if hud != "full":
        strings["minimalUI" if hud == "none" else "reducedUI"] = "true"
    if held_out:
        strings |= EVALUATION_CONFIG
    strings |= {"width": str(int(width)), "height": str(int(height))}
    if chosen == "litelab":
        strings["textures"] = textures
    names = check_names(observations)
    cache = None if level_cache is None else os.fspath(level_cache)
    return Options(
        name, path, chosen, frames, int(width), int(height), names, render_mode, shape, held_out, strings, cache
    )


@contextmanager
def config_refusals() -> Iterator[None]:
    """Raise what litelab says of a `config` as an error of the environment's options.

    Raises:
        ConfigRefused: litelab refused a key or a value.
    """
    try:
        yield
    except RuntimeError as error:
        raise ConfigRefused(f"config is refused: {error}") from error


def make_engine(options: Options) -> Engine:
    """The engine of checked options."""
    if options.engine == "litelab":
        from flexlam_rl.envs.litelab.single import LitelabEngine

        with config_refusals():
            return LitelabEngine(options.path, options.observations, options.config)
    from flexlam_rl.envs.domains.dmlab.real_engine import RealEngine

    return RealEngine(options)
