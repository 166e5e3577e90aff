"""What an expert sees: the cells and items in its field of view that nothing hides."""

import numpy as np

from flexlam_rl.agents.experts.scripted.memory import BLOCKED, FREE
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.collide import line_of_sight
from flexlam_rl.envs.litelab.kernel import kernel

RAYS = 41
HALF_VIEW = np.pi / 4.0  # 90 degrees of view
FAR = 1400.0  # beyond this an item is smaller than a pixel or two
TURN = 2.0 * np.pi / 65536.0


@kernel
def row_of(w, y):
    """Return the row of the maze cell at y."""
    return int(w.rows - 1 - np.floor(y / s.CELL))


@kernel
def col_of(x):
    """Return the column of the maze cell at x."""
    return int(np.floor(x / s.CELL))


@kernel
def solid(w, r, c):
    """Return whether a cell blocks sight and movement: a wall or a closed door."""
    if r < 0 or c < 0 or r >= w.rows or c >= w.cols:
        return True
    return w.cell[r, c] == s.WALL or (w.cell[r, c] >= s.DOOR_H and w.door_open[r, c] == 0)


@kernel
def see_cells(w, m):
    """Mark the cells that rays over the field of view pass through, and what they end at."""
    p = w.players[0]
    r0, c0 = row_of(w, p.pos[1]), col_of(p.pos[0])
    m.seen[r0, c0] = FREE
    m.seen_at[r0, c0] = m.step
    m.visited[r0, c0] = w.frame
    yaw = p.yaw * TURN
    for i in range(RAYS):
        a = yaw + HALF_VIEW * (2.0 * i / (RAYS - 1) - 1.0)
        dx, dy = np.cos(a), np.sin(a)
        r, c = r0, c0
        step_c = 1 if dx > 0.0 else -1
        step_r = -1 if dy > 0.0 else 1
        tx = ((c + (1 if dx > 0.0 else 0)) * s.CELL - p.pos[0]) / dx if abs(dx) > 1e-9 else 1e9
        up = w.rows - 1 - r
        ty = ((up + (1 if dy > 0.0 else 0)) * s.CELL - p.pos[1]) / dy if abs(dy) > 1e-9 else 1e9
        ax = s.CELL / abs(dx) if abs(dx) > 1e-9 else 1e9
        ay = s.CELL / abs(dy) if abs(dy) > 1e-9 else 1e9
        while True:
            if tx < ty:
                c += step_c
                tx += ax
            else:
                r += step_r
                ty += ay
            if r < 0 or c < 0 or r >= w.rows or c >= w.cols:
                break
            m.seen_at[r, c] = m.step
            if solid(w, r, c):
                m.seen[r, c] = BLOCKED
                break
            m.seen[r, c] = FREE


@kernel
def in_view(w, x, y, z, far):
    """Return whether a point is in the field of view, nearer than `far`, and not hidden."""
    p = w.players[0]
    dx, dy = x - p.pos[0], y - p.pos[1]
    d = np.sqrt(dx * dx + dy * dy)
    if d > far:
        return False
    yaw = p.yaw * TURN
    if d > 20.0 and dx * np.cos(yaw) + dy * np.sin(yaw) < d * np.cos(HALF_VIEW):
        return False
    return line_of_sight(w, p.pos[0], p.pos[1], p.pos[2] + p.view_height, x, y, z)


@kernel
def see_items(w, m, far):
    """Note the items in view, those seen to be gone, and the reward of the last pickup."""
    p = w.players[0]
    felt = w.total - m.total
    m.total = w.total
    for k in range(w.item_count):
        it = w.items[k]
        near = abs(p.pos[0] - it.pos[0]) < 80.0 and abs(p.pos[1] - it.pos[1]) < 70.0
        if it.active == 1:
            if (m.there[k] == 0 or m.horizon >= 0) and in_view(w, it.pos[0], it.pos[1], it.pos[2], far):
                m.known[k] = 1
                m.there[k] = 1
                m.item_at[k] = m.step
        elif m.there[k] == 1 and (near or in_view(w, it.pos[0], it.pos[1], it.pos[2], far)):
            m.there[k] = 0
            m.taken_at[k] = w.frame
            if near and felt != 0.0 and w.categories > 0:
                m.value[it.group] = 1 if felt > 0.0 else -1
                m.felt_at[it.group] = m.step
