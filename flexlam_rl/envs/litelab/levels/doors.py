"""The choice of open doors at a (re)start of an obstructed-goals map (reference A6.4)."""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.rng import below, shuffle

DOORS_CLOSED = 0.5  # share of the doors off the way to the goal that stays closed

_STEP_ROW = np.array([0, -1, 0, 1])
_STEP_COL = np.array([1, 0, -1, 0])


@kernel
def _is_door(w, r, c):
    return w.cell[r, c] == s.DOOR_H or w.cell[r, c] == s.DOOR_I


@kernel
def _random_way(w, row, col):
    """Find the cells of a random depth-first way from the goal to a cell, as row * cols + col."""
    seen = np.zeros((w.rows, w.cols), np.uint8)
    way = np.empty(w.rows * w.cols, np.int32)
    ways = np.empty(4, np.int32)
    seen[w.goal_row, w.goal_col] = 1
    way[0] = w.goal_row * w.cols + w.goal_col
    n = 1
    while n > 0:
        r, c = way[n - 1] // w.cols, way[n - 1] % w.cols
        if r == row and c == col:
            break
        k = 0
        for side in range(4):
            rr, cc = r + _STEP_ROW[side], c + _STEP_COL[side]
            if 0 <= rr < w.rows and 0 <= cc < w.cols and seen[rr, cc] == 0 and w.cell[rr, cc] != s.WALL:
                ways[k] = side
                k += 1
        if k == 0:
            n -= 1
            continue
        side = ways[below(w, k)]
        rr, cc = r + _STEP_ROW[side], c + _STEP_COL[side]
        seen[rr, cc] = 1
        way[n] = rr * w.cols + cc
        n += 1
    return way[:n]


@kernel
def draw_doors(w, row, col):
    """Close all doors, then open those on a random way between the goal and the spawn cell and half of the others."""
    for r in range(w.rows):
        for c in range(w.cols):
            w.door_open[r, c] = 0
    way = _random_way(w, row, col)
    for i in range(len(way)):
        r, c = way[i] // w.cols, way[i] % w.cols
        if _is_door(w, r, c):
            w.door_open[r, c] = 1
    closed = np.empty(w.rows * w.cols, np.int32)
    n = 0
    for r in range(w.rows):
        for c in range(w.cols):
            if _is_door(w, r, c) and w.door_open[r, c] == 0:
                closed[n] = r * w.cols + c
                n += 1
    shuffle(w, closed, n)
    for i in range(int(np.floor(n * (1.0 - DOORS_CLOSED)))):
        w.door_open[closed[i] // w.cols, closed[i] % w.cols] = 1
