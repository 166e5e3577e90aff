"""Operations on cells of a text maze, which are given as one number, row * cols + col."""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.items import add_item
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.maze import SPAWN
from flexlam_rl.envs.litelab.pose import place
from flexlam_rl.envs.litelab.rng import below

ITEM_Z = 16.125  # height of an item's origin: it has a radius of 15 and lies on the floor, whose top is at 1
PLAYER_Z = 25.125

_STEP_ROW = np.array([0, -1, 0, 1])  # by side: east, north, west, south
_STEP_COL = np.array([1, 0, -1, 0])


@kernel
def find_letters(w, letter):
    """Find the cells with `letter`, in reading order, as row * cols + col."""
    found = np.empty(w.rows * w.cols, np.int32)
    n = 0
    for r in range(w.rows):
        for c in range(w.cols):
            if w.letter[r, c] == letter:
                found[n] = r * w.cols + c
                n += 1
    return found[:n]


@kernel
def reachable_from(w, row, col):
    """Find the cells that could be reached from a cell if all doors were open, as a (rows, cols) mask."""
    mask = np.zeros((w.rows, w.cols), np.uint8)
    stack = np.empty((w.rows * w.cols, 2), np.int32)
    mask[row, col] = 1
    stack[0, 0] = row
    stack[0, 1] = col
    n = 1
    while n > 0:
        n -= 1
        r, c = stack[n]
        for side in range(4):
            rr, cc = r + _STEP_ROW[side], c + _STEP_COL[side]
            if 0 <= rr < w.rows and 0 <= cc < w.cols and mask[rr, cc] == 0 and w.cell[rr, cc] != s.WALL:
                mask[rr, cc] = 1
                stack[n, 0] = rr
                stack[n, 1] = cc
                n += 1
    return mask


@kernel
def cell_x(w, cell):
    """East coordinate of the middle of a cell given as row * cols + col."""
    return s.CELL * (cell % w.cols) + 0.5 * s.CELL


@kernel
def cell_y(w, cell):
    """North coordinate of the middle of a cell given as row * cols + col."""
    return s.CELL * (w.rows - 1 - cell // w.cols) + 0.5 * s.CELL


@kernel
def add_item_in_cell(w, kind, look, cell, reward):
    """Add an item in the middle of a cell given as row * cols + col; returns its index."""
    k = add_item(w, kind, look, cell_x(w, cell), cell_y(w, cell), ITEM_Z, reward)
    w.items[k].cell[0] = cell // w.cols
    w.items[k].cell[1] = cell % w.cols
    return k


@kernel
def spawn_in_cell(w, cell):
    """Place the player in the middle of a cell, with a random yaw."""
    place(w, w.players[0], cell_x(w, cell), cell_y(w, cell), PLAYER_Z, below(w, 65536))


@kernel
def spawns_in(w, mask):
    """Find the spawn cells inside a mask."""
    spawns = find_letters(w, SPAWN)
    n = 0
    for i in range(len(spawns)):
        if mask[spawns[i] // w.cols, spawns[i] % w.cols] == 1:
            spawns[n] = spawns[i]
            n += 1
    return spawns[:n]
