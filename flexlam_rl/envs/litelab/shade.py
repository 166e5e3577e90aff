"""Light on floors and walls of a text maze.

DMLab's maps have baked light: floors get darker towards walls, walls towards the floor and inner corners, and corridors
are darker than rooms. The tables here follow the ratio of recorded frames to unlit textures, which these exponentials
fit within 0.03.
"""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab.kernel import kernel

STEP_BITS = 4
STEPS = 1 << STEP_BITS  # samples of light along a cell's side
# Configurations of a wall face: bit 0 for an inner corner at its low end (west or south), bit 1 at its high end, bit 2
# for a wall opposite.
WALL_LIGHTS = 8
UNLIT = 8  # full light everywhere, for walls whose textures contain their own light

# Offsets of the parts of `lights` after the floors
WALLS = 256 * STEPS * STEPS
EVEN = WALLS + (WALL_LIGHTS + 1) * STEPS * STEPS

FLOOR_BASE = 0.955
ROOM_WALL = 0.945
CORRIDOR_WALL = 0.83


def floor_light() -> np.ndarray:
    """Make the light of floors, (256, STEPS, STEPS) uint8, by the mask of blocked neighbors (bit 0 east, then
    counterclockwise), rows from the north.
    """
    at = (np.arange(STEPS) + 0.5) * (100.0 / STEPS)
    x, y = np.meshgrid(at, at[::-1])
    sides = (100.0 - x, 100.0 - y, x, y)
    table = np.empty((256, STEPS, STEPS))
    for mask in range(256):
        light = np.full((STEPS, STEPS), FLOOR_BASE)
        for k in range(4):
            if mask >> (2 * k) & 1:
                light *= 1.0 - 0.26 * np.exp(-sides[k] / 9.0)
        for k in range(4):
            a, b = sides[k], sides[(k + 1) % 4]
            if mask >> (2 * k + 1) & 1 and not mask >> (2 * k) & 1 and not mask >> (2 * k + 2) % 8 & 1:
                light *= 1.0 - 0.18 * np.exp(-np.hypot(a, b) / 9.0)
        for k in range(2):
            if mask >> (2 * k) & 1 and mask >> (2 * k + 4) & 1:
                light *= 0.965
        table[mask] = light
    return np.floor(table * 255.0 + 0.5).astype(np.uint8)


def wall_light() -> np.ndarray:
    """Make the light of walls, (WALL_LIGHTS + 1, STEPS, STEPS) uint8, by configuration, depth below the top and place
    along the wall (eastwards or northwards).
    """
    at = (np.arange(STEPS) + 0.5) * (100.0 / STEPS)
    along, z = np.meshgrid(at, at[::-1])
    table = np.ones((WALL_LIGHTS + 1, STEPS, STEPS))
    for config in range(WALL_LIGHTS):
        light = np.full((STEPS, STEPS), CORRIDOR_WALL if config & 4 else ROOM_WALL)
        light *= 1.0 - 0.29 * np.exp(-z / 22.0)
        if config & 1:
            light *= 1.0 - 0.33 * np.exp(-along / 17.0)
        if config & 2:
            light *= 1.0 - 0.33 * np.exp(-(100.0 - along) / 17.0)
        table[config] = light
    return np.floor(table * 255.0 + 0.5).astype(np.uint8)


def lights() -> np.ndarray:
    """Make the table of lights, (EVEN + 256,) uint32 from 1 to 256: `floor_light`, `wall_light` and, from EVEN on, each
    value itself.
    """
    return np.concatenate([floor_light().ravel(), wall_light().ravel(), np.arange(256, dtype=np.uint8)]).astype(
        np.uint32
    ) + np.uint32(1)


@kernel
def _blocked(w, row, col):
    return row < 0 or row >= w.rows or col < 0 or col >= w.cols or w.cell[row, col] == s.WALL


@kernel
def prepare(w):
    """Fill `w.ground` (blocked neighbors in the high byte, floor texture in the low one) after the maze has changed."""
    for row in range(w.rows):
        for col in range(w.cols):
            mask = 0
            if not _blocked(w, row, col):
                mask += 1 * _blocked(w, row, col + 1)
                mask += 2 * _blocked(w, row - 1, col + 1)
                mask += 4 * _blocked(w, row - 1, col)
                mask += 8 * _blocked(w, row - 1, col - 1)
                mask += 16 * _blocked(w, row, col - 1)
                mask += 32 * _blocked(w, row + 1, col - 1)
                mask += 64 * _blocked(w, row + 1, col)
                mask += 128 * _blocked(w, row + 1, col + 1)
            w.ground[row, col] = mask * 256 + tx.FLOORS + w.floor_texture[w.variation[row, col]]
