"""How far one sees or shoots: distance along a ray to the world's solid parts."""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel

FLOOR = 1.0  # top of the floor of a text maze


@kernel
def _grid_distance(w, ox, oy, dx, dy, limit):
    """Distance to the first wall cell or closed door of a text maze, at most `limit` (walk from cell to cell)."""
    col = int(np.floor(ox / s.CELL))
    down = int(np.floor(oy / s.CELL))  # rows counted from the south
    step_x = 1 if dx > 0 else -1
    step_y = 1 if dy > 0 else -1
    next_x = ((col + (dx > 0)) * s.CELL - ox) / dx if dx != 0.0 else 1e30
    next_y = ((down + (dy > 0)) * s.CELL - oy) / dy if dy != 0.0 else 1e30
    delta_x = abs(s.CELL / dx) if dx != 0.0 else 1e30
    delta_y = abs(s.CELL / dy) if dy != 0.0 else 1e30
    t = 0.0
    while t < limit:
        if next_x < next_y:
            t = next_x
            next_x += delta_x
            col += step_x
        else:
            t = next_y
            next_y += delta_y
            down += step_y
        row = w.rows - 1 - down
        if row < 0 or row >= w.rows or col < 0 or col >= w.cols:
            return min(t, limit)
        if w.cell[row, col] == s.WALL:
            return min(t, limit)
    return limit


@kernel
def ray_hit(w, ox, oy, oz, dx, dy, dz, limit):
    """Distance from a point along a unit vector to floor, wall or closed door, at most `limit`."""
    if dz < 0.0:
        limit = min(limit, max((FLOOR - oz) / dz, 0.0))
    if w.geometry != s.GRID:
        return limit
    if dz > 0.0:
        # above the walls there is only sky
        limit = min(limit, max((s.WALL_HEIGHT - oz) / dz, 0.0))
    return _grid_distance(w, ox, oy, dx, dy, limit)


@kernel
def line_of_sight(w, ax, ay, az, bx, by, bz):
    """Whether nothing solid stands between two points."""
    dx, dy, dz = bx - ax, by - ay, bz - az
    length = np.sqrt(dx * dx + dy * dy + dz * dz)
    if length < 1e-6:
        return True
    return ray_hit(w, ax, ay, az, dx / length, dy / length, dz / length, length) >= length
