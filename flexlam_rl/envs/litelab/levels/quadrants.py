"""The maze of `maze_quadrants`: corridors without rooms, each quarter with its own wall and floor (the dissertation's
DMLab-40k, appendix B.13).

The dissertation says 7x7; here, that is the size of the text maze including its outer walls, as DMLab counts
(`mazeWidth`). It does not say how mazes are drawn; here, a maze is a random tree over the lattice plus some of the
other passages, so that there are loops.
"""

import numpy as np

from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels.theme import draw_theme
from flexlam_rl.envs.litelab.maze import SPACE, SPAWN, STAR, fill_with_corridors, set_cells
from flexlam_rl.envs.litelab.rng import below, shuffle, uniform
from flexlam_rl.envs.litelab.textures import FLOOR_STYLES, WALL_STYLES

_WALLS = len(WALL_STYLES)
_FLOORS = len(FLOOR_STYLES)
QUARTERS = 4


@kernel
def begin(w):
    """Begin an episode: draw a new maze and the look of its quarters."""
    if w.given_maze == 0:
        _draw_maze(w)
    set_cells(w)
    # the middle row and column belong to corridors, so the quarters meet on a random side of them
    top, left = w.rows // 2 + below(w, 2), w.cols // 2 + below(w, 2)
    if w.given_variations == 0:
        for r in range(w.rows):
            for c in range(w.cols):
                w.variation[r, c] = 1 + (0 if r < top else 2) + (0 if c < left else 1)
    draw_theme(w)
    walls = np.arange(_WALLS)
    shuffle(w, walls, _WALLS)
    floors = np.arange(_FLOORS)
    shuffle(w, floors, _FLOORS)
    for k in range(QUARTERS):
        w.wall_texture[1 + k] = walls[k]
        w.floor_texture[1 + k] = floors[k]


@kernel
def _draw_maze(w):
    """Draw corridors that reach all places of the lattice, which become spawn points."""
    rows, cols = int(w.maze_height), int(w.maze_width)
    w.rows = rows
    w.cols = cols
    for r in range(rows):
        for c in range(cols):
            w.letter[r, c] = STAR
    fill_with_corridors(w, np.zeros((rows, cols), np.int32), 0)
    for r in range(1, rows - 1):
        for c in range(1 + r % 2, cols - 1, 2):
            if w.letter[r, c] == STAR and uniform(w) < w.extra_connections:
                w.letter[r, c] = SPACE
    for r in range(1, rows, 2):
        for c in range(1, cols, 2):
            w.letter[r, c] = SPAWN
