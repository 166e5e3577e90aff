"""A view from above (DEBUG.CAMERA.TOP_DOWN): rays cast downwards find the solids, which have the mean colors of their
textures.
"""

from typing import Any

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab.collide import cell_at, ray_hit
from flexlam_rl.envs.litelab.kernel import kernel

_FAR = 6000.0
_INSIDE = 79.0  # below the ceiling of the rooms of deferred effects
_AGENT, _BOT = (255, 40, 40), (60, 90, 255)
_ITEM_COLOURS = {
    s.LOOK_APPLE: (210, 30, 40),
    s.LOOK_GOAL: (255, 215, 0),
    s.LOOK_CAKE: (245, 190, 200),
    s.LOOK_BOX: (150, 100, 50),
    s.LOOK_MUSHROOM: (230, 60, 60),
    s.LOOK_HEALTH: (60, 220, 60),
    s.LOOK_ARMOR: (230, 230, 60),
}


@kernel
def _surface(w, palette, x, y, z, colour):
    """Mean color of the solid at a point; `palette` has one row per texture of the atlas."""
    light = 1.0
    number = tx.DEFERRED_FLOOR
    if w.geometry == s.GRID:
        row = w.rows - 1 - int(np.floor(y / s.CELL))
        col = int(np.floor(x / s.CELL))
        if cell_at(w, row, col) == s.WALL or row < 0 or col < 0:
            number = tx.WALLS
            light = 0.55
        else:
            number = tx.FLOORS + w.floor_texture[w.variation[row, col]]
            if z > 2.0:
                number = tx.WALLS + w.wall_texture[w.variation[row, col]]
                light = 0.5 + 0.003 * z
    elif w.geometry == s.TERRAIN:
        number = tx.TERRAIN
        light = min(max(0.7 + z / 800.0, 0.3), 1.0)
    elif w.family == s.WATERMAZE:
        number = tx.WATER if z < 20.0 else tx.POOL_WALL
    elif z > 2.0:
        number = tx.DEFERRED_WALL
        light = 0.8
    for k in range(3):
        colour[k] = min(palette[number, k] * light, 255.0)


@kernel
def top_view(w, palette, cx, cy, cz, turn, rgb):
    """Draw the solids of world `w` into `rgb` (H, W, 3) as seen from (cx, cy, cz) straight down, 90 degrees wide.

    `turn` is the yaw, in radians, of the direction that is up in the picture.
    """
    height, width, _ = rgb.shape
    colour = np.zeros(3)
    top = cz
    if w.geometry == s.GRID:
        top = min(cz, s.WALL_HEIGHT)
    elif w.family == s.DEFERRED:
        top = min(cz, _INSIDE)
    for py in range(height):
        v = (1.0 - (2.0 * py + 1.0) / height) * height / width
        for px in range(width):
            u = (2.0 * px + 1.0) / width - 1.0
            dx = u * np.sin(turn) + v * np.cos(turn)
            dy = v * np.sin(turn) - u * np.cos(turn)
            x = cx + dx * (cz - top)
            y = cy + dy * (cz - top)
            z = top
            length = np.sqrt(dx * dx + dy * dy + 1.0)
            inside = 0.0 <= x < w.cols * s.CELL and 0.0 <= y < w.rows * s.CELL
            if w.geometry != s.GRID or inside:
                far = ray_hit(w, x, y, z, dx / length, dy / length, -1.0 / length, _FAR) / length
                x += dx * far
                y += dy * far
                z -= far
                # slightly before the hit, so that a wall's side belongs to the open cell in front of it
                _surface(w, palette, x - 0.01 * dx, y - 0.01 * dy, z, colour)
            else:
                colour[:] = 0.0
            for k in range(3):
                rgb[py, px, k] = np.uint8(colour[k])


_palettes: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # by id of the atlas; it is kept, so that its id stays unique


def _palette(atlas: np.ndarray) -> np.ndarray:
    """Compute the mean color of every texture, (TEXTURES, 3) float64."""
    if id(atlas) not in _palettes:
        last = atlas[:, -((tx.SIZE >> (tx.LEVELS - 1)) ** 2) :]  # the smallest mip level
        _palettes[id(atlas)] = atlas, np.stack([((last >> shift) & 255).mean(axis=1) for shift in (0, 8, 16)], axis=-1)
    return _palettes[id(atlas)][1]


def default_camera(world: Any, width: int, height: int) -> tuple[float, float, float]:
    """Position of DeepMind Lab's camera: above the middle of a maze, high enough to see all of it; else (0, 0, 500)."""
    if world["geometry"] != s.GRID:
        return 0.0, 0.0, 500.0
    x, y = float(world["cols"]) * 50.0, float(world["rows"]) * 50.0
    return x, y, max(x - 100.0, (y - 100.0) / (height / width)) + 100.0


def top_down(
    worlds: np.ndarray,
    i: int,
    atlas: np.ndarray,
    width: int,
    height: int,
    camera: tuple[float, float, float],
    yaw: float,
) -> np.ndarray:
    """Draw world `i` from above, with items as discs and players as discs with a nose.

    Args:
        worlds: World records.
        i: Number of the world.
        atlas: Textures of the look.
        width, height: Size of the picture in pixels.
        camera: Position (x, y, z) of the camera.
        yaw: Direction that is up in the picture, in degrees.

    Returns:
        (height, width, 3) uint8.
    """
    rgb = np.zeros((height, width, 3), np.uint8)
    turn = np.radians(yaw)
    top_view(worlds[i], _palette(atlas), *camera, turn, rgb)
    world = worlds[i]
    for item in world["items"][: world["item_count"]]:
        if item["active"]:
            colour = _ITEM_COLOURS.get(int(item["look"]), tuple(int(c) for c in item["color"][0]))
            _disc(rgb, camera, turn, item["pos"], 15.0, colour)
    for k, player in enumerate(world["players"][: world["player_count"]]):
        if player["alive"]:
            heading = player["yaw"] * (2 * np.pi / 65536)
            nose = player["pos"] + 18.0 * np.array([np.cos(heading), np.sin(heading), 0.0])
            _disc(rgb, camera, turn, nose, 7.0, (255, 255, 255))
            _disc(rgb, camera, turn, player["pos"], 15.0, _BOT if k else _AGENT)
    return rgb


def _disc(
    rgb: np.ndarray,
    camera: tuple[float, float, float],
    turn: float,
    pos: np.ndarray,
    radius: float,
    colour: tuple[int, ...],
) -> None:
    """Fill a horizontal disc at `pos`, at least one pixel large."""
    height, width, _ = rgb.shape
    dx, dy, depth = pos[0] - camera[0], pos[1] - camera[1], camera[2] - pos[2]
    if depth <= 1.0:
        return
    half = width / 2
    px = (dx * np.sin(turn) - dy * np.cos(turn)) / depth * half + half
    py = height / 2 - (dx * np.cos(turn) + dy * np.sin(turn)) / depth * half
    reach = max(radius / depth * half, 0.71)
    y, x = np.ogrid[:height, :width]
    rgb[(x + 0.5 - px) ** 2 + (y + 0.5 - py) ** 2 <= reach**2] = colour
