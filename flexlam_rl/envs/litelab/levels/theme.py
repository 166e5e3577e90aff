"""The look of a text maze: a floor and a wall texture per variation, and pictures on some walls (reference A4)."""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.rng import below, shuffle
from flexlam_rl.envs.litelab.textures import CORRIDOR_FLOOR, CORRIDOR_WALL, FLOOR_STYLES, PICTURES, WALL_STYLES

_WALLS = len(WALL_STYLES)
_FLOORS = len(FLOOR_STYLES)
_STEP_ROW = np.array([0, -1, 0, 1])  # by side: east, north, west, south
_STEP_COL = np.array([1, 0, -1, 0])


@kernel
def solid(w, row, col):
    """Whether a cell is a wall, as is everything outside the maze."""
    return row < 0 or col < 0 or row >= w.rows or col >= w.cols or w.cell[row, col] == s.WALL


@kernel
def draw_theme(w):
    """Draw textures and pictures for the maze in `cell` and `variation`.

    Corridors always look the same. A tenth of the wall faces, but no more than there are pictures, get one picture
    each, all different.
    """
    w.floor_texture[0] = CORRIDOR_FLOOR
    w.wall_texture[0] = CORRIDOR_WALL
    for v in range(1, 27):
        w.floor_texture[v] = below(w, _FLOORS)
        w.wall_texture[v] = below(w, _WALLS)
    faces = np.empty(4 * w.rows * w.cols, np.int32)
    n = 0
    for r in range(w.rows):
        for c in range(w.cols):
            for side in range(4):
                w.decal[r, c, side] = 0
                if w.cell[r, c] != s.WALL and solid(w, r + _STEP_ROW[side], c + _STEP_COL[side]):
                    faces[n] = 4 * (r * w.cols + c) + side
                    n += 1
    shuffle(w, faces, n)
    pictures = np.arange(PICTURES)
    shuffle(w, pictures, PICTURES)
    for i in range(int(np.floor(min(0.5 + 0.1 * n, float(PICTURES))))):
        place, side = faces[i] // 4, faces[i] % 4
        w.decal[place // w.cols, place % w.cols, side] = 1 + pictures[i]
