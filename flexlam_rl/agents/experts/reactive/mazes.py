"""Reactive experts of text mazes: they go to wanted items seen lately, else the rightmost way to unseen cells."""

import numpy as np

from flexlam_rl.agents.experts.reactive.walk import deepest
from flexlam_rl.agents.experts.scripted import memory as mem
from flexlam_rl.agents.experts.scripted.mazes import appraise, at_unseen, choose_item, fight
from flexlam_rl.agents.experts.scripted.sight import FAR, col_of, in_view, row_of, see_cells, see_items
from flexlam_rl.agents.experts.scripted.walk import UNREACHED, bearing, flood, level_view, steer, way_to
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel


@kernel
def _rightmost(w, m, dist):
    """Find a cell beside an unseen one: the rightmost in view, else the nearest remembered one, else (-1, -1)."""
    p = w.players[0]
    right, row, col = 1e9, -1, -1
    near, near_row, near_col = 1e9, -1, -1
    for r in range(w.rows):
        for c in range(w.cols):
            if dist[r, c] == UNREACHED or dist[r, c] == 0 or not at_unseen(w, m, r, c):
                continue
            x, y = (c + 0.5) * s.CELL, (w.rows - r - 0.5) * s.CELL
            left = bearing(w, x, y) / 45.0
            if in_view(w, x, y, p.pos[2] + p.view_height, FAR):
                cost = left + 0.1 * dist[r, c]
                if cost < right:
                    right, row, col = cost, r, c
            else:
                cost = 0.5 * abs(left) + dist[r, c]
                if cost < near:
                    near, near_row, near_col = cost, r, c
    return (row, col) if row >= 0 else (near_row, near_col)


@kernel
def _opponent(w, m, dist):
    """Find the cell where an opponent was seen in the last steps, or (-1, -1)."""
    if w.family == s.LASERTAG and m.enemy_frame >= 0:
        row, col = row_of(w, m.enemy_y), col_of(m.enemy_x)
        if dist[row, col] != UNREACHED and dist[row, col] != 0:
            return row, col
    return -1, -1


@kernel
def decide(w, m):
    """Choose the next action in a maze."""
    if w.players[0].alive == 0:
        return mem.FIRE  # respawns as soon as it may
    see_cells(w, m)
    see_items(w, m, FAR)
    m.value[:] = 0  # rewards of the past cannot be seen in the view
    if w.family == s.LASERTAG:
        action = fight(w, m)
        if action >= 0:
            return action
    action = level_view(w)
    if action >= 0:
        return action
    want = np.zeros(s.MAX_ITEMS)
    avoid = np.zeros(s.MAX_ITEMS, np.uint8)
    appraise(w, m, want, avoid)
    dist = np.empty((s.MAX_CELLS, s.MAX_CELLS), np.uint16)
    back = np.empty((s.MAX_CELLS, s.MAX_CELLS), np.int32)
    flood(w, m, avoid, dist, back)
    k = choose_item(w, m, want, dist)
    if k >= 0:
        x, y = w.items[k].pos[0], w.items[k].pos[1]
        row, col = row_of(w, y), col_of(x)
    else:
        row, col = _opponent(w, m, dist)
        if row < 0 and m.horizon > 0:
            row, col = _rightmost(w, m, dist)
        if row < 0:
            return deepest(w, m)
        x, y = (col + 0.5) * s.CELL, (w.rows - row - 0.5) * s.CELL
    tx, ty = way_to(w, m, row, col, x, y, avoid, back)
    return steer(bearing(w, tx, ty))
