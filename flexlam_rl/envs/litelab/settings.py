"""Interpretation of a Lab's `config` dictionary: engine settings, level parameters and the user's own worlds.

Keys and error messages are those of DeepMind Lab (reference A1, A2); `startPosition` and `startAngles` are litelab's
own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.levels.table import LEVELS, QUADRANTS, LevelSpec

TEXTURES = ("procedural", "labmaze")
DEFAULT_WIDTH, DEFAULT_HEIGHT = 320, 240

# Keys of the engine that are accepted without effect.
_IGNORED = frozenset(
    (
        "levelDirectory",
        "appendCommand",
        "hasAltCameras",
        "localLevelCache",
        "globalLevelCache",
        "vmMode",
        "logToStdErr",
        "nativeApp",
        "use_pbos",
        "gpuDeviceIndex",
        "invocationMode",
        "levelGenerator",
        "playerId",
        "players",
        "datasetPath",
        "enableCameraMovement",
        "logLevel",
        "__platform__",
        "textureRandomization",
    )
)
# Keys of the engine for features that litelab does not have.
_UNSUPPORTED = frozenset(["server", "client", "port", "serverPort", "record", "demo", "video", "demofiles"])
_OFF = frozenset(("", "0", "false", "no"))

# Level parameter -> world field.
_MAZE_FIELDS = {
    "mazeWidth": "maze_width",
    "mazeHeight": "maze_height",
    "roomCount": "room_count",
    "roomMinSize": "room_min",
    "roomMaxSize": "room_max",
    "spawnCount": "spawns_per_room",
    "objectCount": "objects_per_room",
    "extraConnectionProbability": "extra_connections",
    "maxVariations": "max_variations",
    "hasDoors": "has_doors",
}
_TAG_FIELDS = {"botCount": "bot_count", "weaponCount": "weapon_count", "pickupCount": "pickup_count"}
FIELDS: dict[int, dict[str, str]] = {s.EXPLORE: _MAZE_FIELDS, s.LASERTAG: {**_MAZE_FIELDS, **_TAG_FIELDS}}
# parameters of a maze without rooms
_QUADRANT_FIELDS = {key: _MAZE_FIELDS[key] for key in ("mazeWidth", "mazeHeight", "extraConnectionProbability")}
# Parameters of maze levels for the original's map building; they can be read and written, without effect.
_BUILD: dict[str, str] = {"decalFrequency": "0.1", "decalScale": "1", "quickRestart": "true", "wallDecoration": ""}
# Bounds of parameters within which a world fits into its record.
_BOUNDS = {
    "maze_width": (5, s.MAX_CELLS - 1),
    "maze_height": (5, s.MAX_CELLS - 1),
    "room_count": (1, 32),
    "room_min": (1, 31),
    "room_max": (1, 31),
    "spawns_per_room": (1, 255),
    "objects_per_room": (0, 255),
    "max_variations": (1, 26),
    "extra_connections": (0.0, 1.0),
    "has_doors": (0, 1),
    "bot_count": (0, s.MAX_PLAYERS - 1),
    "weapon_count": (0, 16),
    "pickup_count": (0, 16),
}
_MAX_SECONDS = 30_000_000


class SettingError(RuntimeError):
    """A key or value of the config that the level refuses, with DeepMind Lab's message."""


@dataclass
class Settings:
    """A parsed config.

    Attributes:
        level: The level.
        width, height: Size of the images in pixels.
        alt_width, alt_height: Size of the DEBUG.CAMERA images.
        hud: "full", "reduced" or "none".
        mixer_seed: 32 bits that are mixed into every seed.
        hold_out: Whether seeds belong to the held-out stream.
        random_seed: Seed of the stream for resets without a seed; None for a random one.
        player_name: Name of the agent.
        textures: litelab's look, "procedural" or "labmaze".
        params: Level parameters as text, by name (properties `params.*`).
    """

    level: LevelSpec
    width: int = DEFAULT_WIDTH
    height: int = DEFAULT_HEIGHT
    alt_width: int = 0
    alt_height: int = 0
    hud: str = "full"
    mixer_seed: int = 0
    hold_out: bool = False
    random_seed: int | None = None
    player_name: str = "DMLabPlayer"
    textures: str = "procedural"
    params: dict[str, str] = field(default_factory=dict)

    @property
    def camera(self) -> tuple[float, float, float] | None:
        """Position of the TOP_DOWN camera; None for the level's own."""
        values = [self.params[f"camera.{k}"] for k in (1, 2, 3)]
        return None if "" in values else (float(values[0]), float(values[1]), float(values[2]))

    @property
    def camera_yaw(self) -> float:
        """Direction that is up in the TOP_DOWN picture, in degrees."""
        return float(self.params["cameraLook.2"])


def _fields(spec: LevelSpec) -> dict[str, str]:
    """Map a level's parameters to world fields."""
    return _QUADRANT_FIELDS if spec.code == QUADRANTS else FIELDS.get(spec.family, {})


def number_text(value: float) -> str:
    """Format a number as Lua does: whole numbers without a decimal point."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _truth(text: str) -> bool:
    return text.strip().lower() not in _OFF


def _integer(key: str, text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise RuntimeError(
            f"Failed to apply setting '{key} = {text}' - \"'{key}' must be an integer. Actual {text}\""
        ) from None


def find_level(name: str, runfiles: str) -> LevelSpec:
    """Find a level by DeepMind Lab's path (`contributed/dmlab30/<level>`), or litelab's own one (`litelab/<level>`).

    Raises:
        RuntimeError: litelab has no such level.
    """
    spec = LEVELS.get(name.rpartition("/")[2])
    if spec is None or spec.path != name:
        raise RuntimeError(
            'Failed to init environment - "Level not found: Failed to open file '
            f"'{runfiles}/game_scripts/levels/{name}.lua'\""
        )
    return spec


def default_params(spec: LevelSpec) -> dict[str, str]:
    """Default parameters of a level, with their values as text."""
    params = {"episodeLengthSeconds": str(spec.seconds), "randomSeed": "false", "datasetPath": ""}
    params |= {"startPosition": "", "startAngles": ""}
    params |= {f"camera.{k}": "" for k in (1, 2, 3)}
    params |= {f"cameraLook.{k}": value for k, value in enumerate(("90", "90", "0"), 1)}
    if spec.geometry == s.GRID:
        params |= {"overrideEntityLayer": "", "overrideVariationsLayer": ""}
    blank = np.zeros((), s.WORLD)
    for key, name in _fields(spec).items():
        value = spec.params.get(name, float(blank[name]))
        params[key] = ("true" if value else "false") if key == "hasDoors" else number_text(value)
    if spec.family == s.EXPLORE and spec.code != QUADRANTS:
        params |= _BUILD
    return params


def parse(level: str, config: Mapping[Any, Any], runfiles: str) -> Settings:
    """Parse a Lab's `config` like DeepMind Lab: first the engine's settings, then the level's.

    Args:
        level: Path of the level.
        config: The settings.
        runfiles: Folder that error messages name.

    Raises:
        TypeError: A key or value is not a text.
        RuntimeError: A setting is refused; the message names it.
    """
    engine: dict[str, str] = {"levelName": level}
    rest: dict[str, str] = {}
    for key, value in config.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError("bad argument type for built-in operation")
        if key in ("width", "height"):
            _check_size(key, value)
        elif key in ("maxAltCameraWidth", "maxAltCameraHeight", "mixerSeed"):
            _integer(key, value)
        elif key == "fps" and value.strip() != "60":
            raise RuntimeError(
                f"Failed to apply setting 'fps = {value}' - \"litelab plays 60 frames a second. Actual {value}\""
            )
        elif key in _UNSUPPORTED and _truth(value):
            raise RuntimeError(f"Failed to apply setting '{key} = {value}' - \"litelab has no such thing\"")
        elif key not in _ENGINE and key not in _IGNORED and key not in _UNSUPPORTED:
            rest[key] = value
            continue
        engine[key] = value

    spec = find_level(engine["levelName"], runfiles)
    settings = Settings(spec, params=default_params(spec))
    settings.width = int(engine.get("width", DEFAULT_WIDTH))
    settings.height = int(engine.get("height", DEFAULT_HEIGHT))
    settings.alt_width = max(settings.width, int(engine.get("maxAltCameraWidth", "0"), 0))
    settings.alt_height = max(settings.height, int(engine.get("maxAltCameraHeight", "0"), 0))
    settings.mixer_seed = int(engine.get("mixerSeed", "0"), 0) & 0xFFFFFFFF
    settings.player_name = engine.get("playerName", settings.player_name)
    settings.textures = engine.get("textures", settings.textures)
    if settings.textures not in TEXTURES:
        raise RuntimeError(
            f"Failed to apply setting 'textures = {settings.textures}' - \"'textures' must be one of "
            f'{", ".join(TEXTURES)}."'
        )
    if _truth(engine.get("minimalUI", "")):
        settings.hud = "none"
    elif _truth(engine.get("reducedUI", "")):
        settings.hud = "reduced"
    for key, value in rest.items():
        if key == "allowHoldOutLevels":
            settings.hold_out = _truth(value)
        elif key == "randomSeed":
            settings.random_seed = None if value.strip().lower() in _OFF else _integer(key, value)
        elif key not in settings.params:
            raise SettingError(f'Failed to init environment - "Invalid setting: "{key}" = "{value}""')
        else:
            settings.params[key] = value
    return settings


_ENGINE = frozenset(
    (
        "width",
        "height",
        "fps",
        "levelName",
        "mixerSeed",
        "maxAltCameraWidth",
        "maxAltCameraHeight",
        "minimalUI",
        "reducedUI",
        "playerName",
        "textures",
    )
)


def _check_size(key: str, text: str) -> None:
    try:
        good = int(text) > 0 and int(text) % 4 == 0
    except ValueError:
        good = False
    if not good:
        raise RuntimeError(
            f"Failed to apply setting '{key} = {text}' - \"'{key}' must be a positive multiple of 4. Actual {text}\""
        )


def _numbers(key: str, text: str, count: int, form: str) -> list[float]:
    try:
        values = [float(word) for word in text.split()]
    except ValueError:
        values = []
    if len(values) != count or not np.isfinite(values).all():
        raise SettingError(f'Failed to init environment - "Invalid setting: "{key}" = "{text}", expected "{form}""')
    return values


def _field_value(key: str, name: str, text: str) -> float:
    low, high = _BOUNDS[name]
    words = {"true": 1.0, "false": 0.0}
    try:
        value = words[text.strip().lower()] if text.strip().lower() in words else float(text)
    except ValueError:
        value = float("nan")
    whole = name == "extra_connections" or value == np.floor(value)
    if not (low <= value <= high and whole):
        raise SettingError(
            f'Failed to init environment - "Invalid setting: "{key}" = "{text}", expected {low} to {high}"'
        )
    return value


def fill_world(w: Any, settings: Settings) -> None:
    """Write level, parameters, and the user's own maze and pose into a world record (NumPy void or 0-d record).

    Raises:
        RuntimeError: A parameter is out of range; the message names it.
        ValueError: The text of the maze is not playable; the message says where.
    """
    spec, params = settings.level, settings.params
    w["level"], w["family"], w["geometry"] = spec.code, spec.family, spec.geometry
    for name, value in spec.params.items():
        w[name] = value
    for key, name in _fields(spec).items():
        w[name] = _field_value(key, name, params[key])
    seconds = params["episodeLengthSeconds"]
    try:
        length = float(seconds)
    except ValueError:
        length = _MAX_SECONDS if seconds.strip().lower() == "false" else float("nan")
    if not 0 < length <= _MAX_SECONDS:
        raise SettingError(
            f'Failed to init environment - "Invalid setting: "episodeLengthSeconds" = "{seconds}", expected seconds '
            'above 0 or false"'
        )
    w["episode_frames"] = int(np.ceil(length * 60))
    w["given_start"] = w["given_angles"] = 0
    if params["startPosition"]:
        w["start_pos"] = _numbers("startPosition", params["startPosition"], 3, "x y z")
        w["given_start"] = 1
    if params["startAngles"]:
        w["start_angles"] = _numbers("startAngles", params["startAngles"], 2, "pitch yaw")
        w["given_angles"] = 1
    cameras = [key for key in params if key.startswith("camera")]
    for key in cameras:
        if params[key]:
            _numbers(key, params[key], 1, "a number")
    if (params["cameraLook.1"], params["cameraLook.3"]) != ("90", "0"):
        raise SettingError(
            'Failed to init environment - "Invalid setting: "cameraLook", expected "90", any yaw, "0": it looks '
            'straight down"'
        )
    w["given_maze"] = w["given_variations"] = 0
    if spec.geometry == s.GRID:
        from flexlam_rl.envs.litelab.mazetext import check_parameters, load_maze_text

        load_maze_text(w, params["overrideEntityLayer"], params["overrideVariationsLayer"])
        check_parameters(w)
