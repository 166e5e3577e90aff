"""Observations of litelab: DeepMind Lab's names, shapes and types, read from world records.

Readers work on a slice of worlds at once, so that single environments and batches share them.

Legend: `N` worlds, `H W` size of an image.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from flexlam_rl.envs.litelab import state as s

HUD_LEVELS = {"none": 0, "reduced": 1, "full": 2}
DEPTH_FULL = 4096.0  # world units at which the 8-bit depth saturates

_U8, _F8 = np.uint8, np.float64
# name -> layout of an image: its channels in order (D is depth), and whether the channels come last
IMAGES: dict[str, tuple[str, bool]] = {
    "RGB_INTERLEAVED": ("RGB", True),
    "RGBD_INTERLEAVED": ("RGBD", True),
    "RGB": ("RGB", False),
    "RGBD": ("RGBD", False),
    "BGR_INTERLEAVED": ("BGR", True),
    "BGRD_INTERLEAVED": ("BGRD", True),
    "RGB_INTERLACED": ("RGB", True),
    "RGBD_INTERLACED": ("RGBD", True),
}
CAMERAS: dict[str, tuple[str, bool]] = {
    f"DEBUG.CAMERA{layout}.{view}": (view, last)
    for layout, last in (("_INTERLEAVED", True), ("", False))
    for view in ("TOP_DOWN", "PLAYER_VIEW", "PLAYER_VIEW_NO_RETICLE")
}
TEXTS = ("INSTR", "DEBUG.MAZE.LAYOUT", "DEBUG.MAZE.VARIATION", "DEBUG.PLAYERS.NAME")


def observation_spec(width: int, height: int, alt_width: int = 0, alt_height: int = 0) -> list[dict[str, Any]]:
    """Make DeepMind Lab's `observation_spec()`: dictionaries with name, shape and dtype, in its order. A 0 in a shape
    means a dynamic size.
    """

    def image(channels: int, last: bool, w: int = width, h: int = height) -> tuple[int, ...]:
        return (h, w, channels) if last else (channels, h, w)

    early = ("RGB_INTERLEAVED", "RGBD_INTERLEAVED", "RGB", "RGBD", "BGR_INTERLEAVED", "BGRD_INTERLEAVED")
    rows: list[tuple[str, tuple[int, ...], type]] = [(n, image(len(IMAGES[n][0]), IMAGES[n][1]), _U8) for n in early]
    rows.append(("MAP_FRAME_NUMBER", (1,), _F8))
    rows += [(n, image(len(IMAGES[n][0]), True), _U8) for n in ("RGB_INTERLACED", "RGBD_INTERLACED")]
    rows += [("VEL.TRANS", (3,), _F8), ("VEL.ROT", (3,), _F8), ("INSTR", (), str), ("TEAM.SCORE", (2,), _F8)]
    rows.append(("FRAMES_REMAINING_AT_60", (1,), _F8))
    rows += [(n, image(3, last, alt_width or width, alt_height or height), _U8) for n, (_, last) in CAMERAS.items()]
    rows += [("DEBUG.MAZE.LAYOUT", (), str), ("DEBUG.MAZE.VARIATION", (), str)]
    rows += [("DEBUG.POS.TRANS", (3,), _F8), ("DEBUG.POS.ROT", (3,), _F8), ("DEBUG.PLAYER_ID", (1,), _U8)]
    rows += [(f"DEBUG.PLAYERS.{n}", (0,), _F8) for n in ("ARMOR", "GADGET", "GADGET_AMOUNT", "HEALTH", "HOLDING_FLAG")]
    rows += [("DEBUG.PLAYERS.ID", (0,), _U8)]
    rows += [(f"DEBUG.PLAYERS.{n}", (0, 3), _F8) for n in ("EYE.POS", "EYE.ROT", "VELOCITY")]
    rows += [("DEBUG.PLAYERS.NAME", (), str)]
    rows += [(f"DEBUG.PLAYERS.{n}", (0,), _F8) for n in ("TEAM", "CAPTURES", "SCORE")]
    rows += [("DEBUG.PLAYERS.IS_BOT", (0,), _U8)]
    rows += [(f"DEBUG.FLAGS.{n}", (5,), _F8) for n in ("RED", "BLUE")]
    rows += [(f"DEBUG.FLAGS.{n}_HOME", (4,), _F8) for n in ("RED", "BLUE")]
    return [{"name": name, "shape": shape, "dtype": dtype} for name, shape, dtype in rows]


NAMES: tuple[str, ...] = tuple(row["name"] for row in observation_spec(4, 4))


def degrees(turns: np.ndarray) -> np.ndarray:
    """Convert angles from 65536ths of a turn to degrees in [-180, 180)."""
    return (((np.asarray(turns, _F8) + 32768) % 65536) - 32768) * (360.0 / 65536.0)


def _velocity(worlds: np.ndarray) -> np.ndarray:
    """Velocity in the player's frame, (forward, left, up), (N, 3); the frame turns with the yaw only."""
    p = worlds["players"][:, 0]
    yaw = p["yaw"] * (2 * np.pi / 65536)
    cos, sin = np.cos(yaw), np.sin(yaw)
    x, y, z = p["vel"].T
    return np.stack([cos * x + sin * y, cos * y - sin * x, z], axis=-1)


def _rotation(players: np.ndarray) -> np.ndarray:
    return np.stack([degrees(players["pitch"]), degrees(players["yaw"]), np.zeros(players.shape)], axis=-1)


def _eyes(players: np.ndarray) -> np.ndarray:
    eyes = players["pos"].copy()
    eyes[..., 2] += players["view_height"]
    return eyes


def _ammo(players: np.ndarray) -> np.ndarray:
    return np.take_along_axis(players["ammo"], players["weapon"][..., None].astype(np.intp), -1)[..., 0].astype(_F8)


def _column(values: np.ndarray) -> np.ndarray:
    return values.astype(_F8)[:, None]


# name -> (N,) worlds -> (N, ...) new array
NUMBERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "MAP_FRAME_NUMBER": lambda w: _column(w["map_frame"]),
    "FRAMES_REMAINING_AT_60": lambda w: _column(np.maximum(w["episode_frames"] - w["frame"], 0)),
    "VEL.TRANS": _velocity,
    "VEL.ROT": lambda w: w["players"]["spin"][:, 0].copy(),
    "TEAM.SCORE": lambda w: np.zeros((len(w), 2)),  # litelab's levels have no teams
    "DEBUG.POS.TRANS": lambda w: w["players"]["pos"][:, 0].copy(),
    "DEBUG.POS.ROT": lambda w: _rotation(w["players"][:, 0]),
    "DEBUG.PLAYER_ID": lambda w: np.ones((len(w), 1), _U8),
    "DEBUG.FLAGS.RED": lambda w: np.zeros((len(w), 5)),
    "DEBUG.FLAGS.BLUE": lambda w: np.zeros((len(w), 5)),
    "DEBUG.FLAGS.RED_HOME": lambda w: np.zeros((len(w), 4)),
    "DEBUG.FLAGS.BLUE_HOME": lambda w: np.zeros((len(w), 4)),
}
# name -> (N, P) players -> (N, P, ...) new array; P is the number of players in the level
PLAYERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "DEBUG.PLAYERS.ARMOR": lambda p: p["armor"].astype(_F8),
    "DEBUG.PLAYERS.GADGET": lambda p: p["weapon"].astype(_F8) + 1,
    "DEBUG.PLAYERS.GADGET_AMOUNT": _ammo,
    "DEBUG.PLAYERS.HEALTH": lambda p: p["health"].astype(_F8),
    "DEBUG.PLAYERS.HOLDING_FLAG": lambda p: np.zeros(p.shape),
    "DEBUG.PLAYERS.ID": lambda p: np.broadcast_to(np.arange(1, p.shape[1] + 1, dtype=_U8), p.shape).copy(),
    "DEBUG.PLAYERS.EYE.POS": _eyes,
    "DEBUG.PLAYERS.EYE.ROT": _rotation,
    "DEBUG.PLAYERS.VELOCITY": lambda p: p["vel"].copy(),
    "DEBUG.PLAYERS.TEAM": lambda p: np.zeros(p.shape),
    "DEBUG.PLAYERS.CAPTURES": lambda p: np.zeros(p.shape),
    "DEBUG.PLAYERS.SCORE": lambda p: p["score"].astype(_F8),
    "DEBUG.PLAYERS.IS_BOT": lambda p: np.broadcast_to((np.arange(p.shape[1]) > 0).astype(_U8), p.shape).copy(),
}
BOT_NAMES = ("Cygni", "Leonis", "Epsilon")


def arrange(channels: str, last: bool, rgb: np.ndarray, depth: np.ndarray | None) -> np.ndarray:
    """Make an image observation (N, H, W, C) or (N, C, H, W) from (N, H, W, 3) RGB and (N, H, W) depth, as a new array."""
    planes = rgb[..., ::-1] if channels.startswith("BGR") else rgb
    if channels.endswith("D"):
        assert depth is not None
        shade = np.clip(depth * (255.0 / DEPTH_FULL), 0, 255).astype(_U8)
        planes = np.concatenate([planes, shade[..., None]], axis=-1)
    if not last:
        planes = np.moveaxis(planes, -1, 1)
    return np.array(planes, order="C")


def maze_text(world: Any, field: str) -> str:
    """Entity layer (`field="letter"`) or variations layer (`"variation"`) of a world with a maze, one line per row."""
    if world["geometry"] != s.GRID:
        return ""
    rows, cols = int(world["rows"]), int(world["cols"])
    cells = world[field][:rows, :cols]
    if field == "variation":
        cells = np.where(cells == 0, ord("."), cells + (ord("A") - 1)).astype(_U8)
    return "".join(bytes(row).decode("ascii") + "\n" for row in cells)


def instruction(world: Any) -> str:
    """INSTR: the language level's task; '' in other levels."""
    if world["family"] != s.LANGUAGE:
        return ""
    from flexlam_rl.envs.litelab.levels import language

    return language.instruction(world)


def text(name: str, world: Any, player_name: str) -> str:
    """Make a text observation of one world."""
    if name == "INSTR":
        return instruction(world)
    if name == "DEBUG.MAZE.LAYOUT":
        return maze_text(world, "letter")
    if name == "DEBUG.MAZE.VARIATION":
        return maze_text(world, "variation")
    return "\n".join([player_name, *BOT_NAMES][: int(world["player_count"])])


def needs(names: Sequence[str]) -> tuple[bool, bool]:
    """Whether these observations need the player's picture, and its depth."""
    layouts = [IMAGES[name][0] for name in names if name in IMAGES]
    return bool(layouts), any(layout.endswith("D") for layout in layouts)
