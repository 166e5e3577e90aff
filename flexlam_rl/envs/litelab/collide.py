"""Sweeping a player's box, or a ray, through the solids of a world.

The rules are those of Quake 3's brush collision (reference A0), recovered from the recorded traces: a solid is a convex
set of planes; a swept box is treated as a point against planes that are pushed out by the box; and a move ends an
eighth of a unit before the plane it hits. Distances are in world units.
"""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab import terrain
from flexlam_rl.envs.litelab.kernel import kernel

EPSILON = 0.125  # every move stops this far before a plane
FLOOR = 1.0  # top of a maze's floor
PROTRUSION = 1.0  # a maze's walls protrude this far from their cell into the open one
HALF = 15.0  # half width of a player's hull
BOTTOM = -24.0  # feet, from a player's origin
DOOR_HALF_LENGTH = 49.0
DOOR_HALF_THICKNESS = 1.0
DOOR_TRAVEL = 92.0  # recorded: 100 (its length and a unit at either end) minus a lip of 8

# How much of a trace is inside a solid.
CLEAR, START_SOLID, ALL_SOLID = range(3)


@kernel
def cell_at(w, row, col):
    """Content of a maze cell; everything outside the map is wall."""
    if row < 0 or col < 0 or row >= w.rows or col >= w.cols:
        return s.WALL
    return w.cell[row, col]


@kernel
def _sweep_box(sx, sy, ex, ey, x0, y0, x1, y1):
    """Sweep a point from s to e against an upright box: (fraction, nx, ny, solid); fraction 2 means no hit."""
    enter = -1.0
    leave = 1.0
    nx = 0.0
    ny = 0.0
    starts_out = False
    gets_out = False
    for side in range(4):
        if side == 0:
            a = sx - x1
            b = ex - x1
        elif side == 1:
            a = x0 - sx
            b = x0 - ex
        elif side == 2:
            a = sy - y1
            b = ey - y1
        else:
            a = y0 - sy
            b = y0 - ey
        if b > 0.0:
            gets_out = True
        if a > 0.0:
            starts_out = True
            if b >= EPSILON or b >= a:
                return 2.0, 0.0, 0.0, CLEAR
        elif b <= 0.0:
            continue
        if a > b:
            f = (a - EPSILON) / (a - b)
            if f < 0.0:
                f = 0.0
            if f > enter:
                enter = f
                nx = 1.0 if side == 0 else (-1.0 if side == 1 else 0.0)
                ny = 1.0 if side == 2 else (-1.0 if side == 3 else 0.0)
        else:
            f = (a + EPSILON) / (a - b)
            if f > 1.0:
                f = 1.0
            if f < leave:
                leave = f
    if not starts_out:
        return (2.0, 0.0, 0.0, START_SOLID) if gets_out else (0.0, 0.0, 0.0, ALL_SOLID)
    if enter > -1.0 and enter < leave:
        return enter, nx, ny, CLEAR
    return 2.0, 0.0, 0.0, CLEAR


@kernel
def _door_box(w, row, col):
    """The slab of the door in a cell, as x0, y0, x1, y1. An open door has slid into the wall beside it, except for a
    lip.
    """
    cx = col * s.CELL + 0.5 * s.CELL
    cy = (w.rows - 1 - row) * s.CELL + 0.5 * s.CELL
    shift = DOOR_TRAVEL if w.door_open[row, col] == 1 else 0.0
    if w.cell[row, col] == s.DOOR_H:
        return (
            cx - DOOR_HALF_LENGTH + shift,
            cy - DOOR_HALF_THICKNESS,
            cx + DOOR_HALF_LENGTH + shift,
            cy + DOOR_HALF_THICKNESS,
        )
    return (
        cx - DOOR_HALF_THICKNESS,
        cy - DOOR_HALF_LENGTH + shift,
        cx + DOOR_HALF_THICKNESS,
        cy + DOOR_HALF_LENGTH + shift,
    )


@kernel
def _trace_grid(w, sx, sy, sz, ex, ey, ez, half, bottom):
    """`trace` in a maze. Walls and doors count as infinitely high, so that no move leaves the map over them."""
    best = 1.0
    nx = 0.0
    ny = 0.0
    nz = 0.0
    solid = CLEAR
    a = sz + bottom - FLOOR
    b = ez + bottom - FLOOR
    if a <= 0.0:
        if b <= 0.0:
            return 0.0, 0.0, 0.0, 0.0, ALL_SOLID
        solid = START_SOLID
    elif b < EPSILON and b < a:
        best = max(0.0, (a - EPSILON) / (a - b))
        nz = 1.0
    if sx == ex and sy == ey and sz != ez:
        return best, nx, ny, nz, solid  # a vertical move cannot hit infinitely high walls
    reach = half + PROTRUSION + EPSILON
    col0 = int(np.floor((min(sx, ex) - reach) / s.CELL))
    col1 = int(np.floor((max(sx, ex) + reach) / s.CELL))
    up0 = int(np.floor((min(sy, ey) - reach) / s.CELL))
    up1 = int(np.floor((max(sy, ey) + reach) / s.CELL))
    for up in range(up0, up1 + 1):
        row = w.rows - 1 - up
        for col in range(col0, col1 + 1):
            kind = cell_at(w, row, col)
            if kind == s.OPEN:
                continue
            for part in range(2):
                if kind == s.WALL:
                    # Two slabs make up a cell whose faces protrude in a cross: where two such faces meet, the corner is
                    # empty.
                    x0 = col * s.CELL - half
                    x1 = x0 + s.CELL + 2.0 * half
                    y0 = up * s.CELL - half
                    y1 = y0 + s.CELL + 2.0 * half
                    if part == 0:
                        if cell_at(w, row, col + 1) != s.WALL:
                            x1 += PROTRUSION
                        if cell_at(w, row, col - 1) != s.WALL:
                            x0 -= PROTRUSION
                    else:
                        if cell_at(w, row - 1, col) != s.WALL:
                            y1 += PROTRUSION
                        if cell_at(w, row + 1, col) != s.WALL:
                            y0 -= PROTRUSION
                elif part == 0:
                    x0, y0, x1, y1 = _door_box(w, row, col)
                    x0 -= half
                    y0 -= half
                    x1 += half
                    y1 += half
                else:
                    continue
                f, fx, fy, inside = _sweep_box(sx, sy, ex, ey, x0, y0, x1, y1)
                if inside == ALL_SOLID:
                    return 0.0, 0.0, 0.0, 0.0, ALL_SOLID
                if inside == START_SOLID:
                    solid = START_SOLID
                if f < best:
                    best = f
                    nx = fx
                    ny = fy
                    nz = 0.0
    return best, nx, ny, nz, solid


@kernel
def _sweep_brush(b, sx, sy, sz, ex, ey, ez, half, bottom, top):
    """Sweep a box from s to e against a convex solid: (fraction, nx, ny, nz, solid); fraction 2 means no hit."""
    enter = -1.0
    leave = 1.0
    nx = 0.0
    ny = 0.0
    nz = 0.0
    starts_out = False
    gets_out = False
    for side in range(6 + b.sides):
        px = 0.0
        py = 0.0
        pz = 0.0
        if side < 6:
            # its bounds are the first six planes
            axis = side // 2
            up = side % 2 == 0
            n = 1.0 if up else -1.0
            d = b.hi[axis] if up else -b.lo[axis]
            if axis == 0:
                px = n
            elif axis == 1:
                py = n
            else:
                pz = n
        else:
            px = b.normal[side - 6, 0]
            py = b.normal[side - 6, 1]
            pz = b.normal[side - 6, 2]
            d = b.dist[side - 6]
        d += half * (abs(px) + abs(py)) - (bottom if pz > 0.0 else top) * pz
        a = px * sx + py * sy + pz * sz - d
        c = px * ex + py * ey + pz * ez - d
        if c > 0.0:
            gets_out = True
        if a > 0.0:
            starts_out = True
            if c >= EPSILON or c >= a:
                return 2.0, 0.0, 0.0, 0.0, CLEAR
        elif c <= 0.0:
            continue
        if a > c:
            f = max(0.0, (a - EPSILON) / (a - c))
            if f > enter:
                enter = f
                nx = px
                ny = py
                nz = pz
        else:
            leave = min(leave, (a + EPSILON) / (a - c))
    if not starts_out:
        return (2.0, 0.0, 0.0, 0.0, START_SOLID) if gets_out else (0.0, 0.0, 0.0, 0.0, ALL_SOLID)
    if enter > -1.0 and enter < leave:
        return enter, nx, ny, nz, CLEAR
    return 2.0, 0.0, 0.0, 0.0, CLEAR


@kernel
def _trace_brushes(w, sx, sy, sz, ex, ey, ez, half, bottom, top):
    best = 1.0
    nx = 0.0
    ny = 0.0
    nz = 0.0
    solid = CLEAR
    for k in range(w.brush_count):
        b = w.brushes[k]
        if b.active == 0:
            continue
        if max(sx, ex) + half + EPSILON < b.lo[0] or min(sx, ex) - half - EPSILON > b.hi[0]:
            continue
        if max(sy, ey) + half + EPSILON < b.lo[1] or min(sy, ey) - half - EPSILON > b.hi[1]:
            continue
        if max(sz, ez) + top + EPSILON < b.lo[2] or min(sz, ez) + bottom - EPSILON > b.hi[2]:
            continue
        f, fx, fy, fz, inside = _sweep_brush(b, sx, sy, sz, ex, ey, ez, half, bottom, top)
        if inside == ALL_SOLID:
            return 0.0, 0.0, 0.0, 0.0, ALL_SOLID
        if inside == START_SOLID:
            solid = START_SOLID
        if f < best:
            best = f
            nx = fx
            ny = fy
            nz = fz
    return best, nx, ny, nz, solid


@kernel
def _trace_terrain(w, sx, sy, sz, ex, ey, ez, half, bottom, top):
    """`trace` on a terrain: against the ground, which carries the middle of the hull's bottom, and against brushes."""
    best, nx, ny, nz, solid = _trace_brushes(w, sx, sy, sz, ex, ey, ez, half, bottom, top)
    if solid == ALL_SOLID:
        return best, nx, ny, nz, solid
    gx, gy, gz = terrain.normal(w, ex, ey)
    c = (ez + bottom - terrain.height(w, ex, ey)) * gz
    # distance of the start to the plane under the end
    a = c + (sx - ex) * gx + (sy - ey) * gy + (sz - ez) * gz
    if c < EPSILON and c < a:
        f = max(0.0, (a - EPSILON) / (a - c))
        if f < best:
            return f, gx, gy, gz, solid
    elif c < 0.0 and a <= 0.0:
        return 0.0, gx, gy, gz, solid
    return best, nx, ny, nz, solid


@kernel
def trace(w, sx, sy, sz, ex, ey, ez, half, bottom, top):
    """Sweep a box from s to e.

    `half` is half its width; `bottom` and `top` are its lower and upper ends, relative to the origin. Returns
    (fraction, nx, ny, nz, solid): how far the box gets (1 for all the way), the normal of the surface that stops it,
    and CLEAR, START_SOLID or ALL_SOLID.
    """
    if w.geometry == s.GRID:
        return _trace_grid(w, sx, sy, sz, ex, ey, ez, half, bottom)
    if w.geometry == s.POLYGONS:
        return _trace_brushes(w, sx, sy, sz, ex, ey, ez, half, bottom, top)
    return _trace_terrain(w, sx, sy, sz, ex, ey, ez, half, bottom, top)


@kernel
def _ray_grid(w, x, y, z, dx, dy, dz, max_dist):
    t = max_dist
    if dz < 0.0 and z > FLOOR:
        t = min(t, (FLOOR - z) / dz)
    col = int(np.floor(x / s.CELL))
    up = int(np.floor(y / s.CELL))
    at = 0.0
    for _ in range(4 * s.MAX_CELLS):
        row = w.rows - 1 - up
        kind = cell_at(w, row, col)
        if kind == s.WALL:
            return min(t, at)
        if kind != s.OPEN:
            x0, y0, x1, y1 = _door_box(w, row, col)
            f, _, _, inside = _sweep_box(x, y, x + dx * t, y + dy * t, x0, y0, x1, y1)
            if inside != CLEAR:
                return 0.0
            if f <= 1.0:
                t = min(t, f * t)
        tx = np.inf
        ty = np.inf
        step_x = 1 if dx > 0.0 else -1
        step_y = 1 if dy > 0.0 else -1
        east = cell_at(w, row, col + step_x)
        north = cell_at(w, row - step_y, col)
        if dx != 0.0:
            edge = (col + 1) * s.CELL if dx > 0.0 else col * s.CELL
            tx = (edge - (step_x * PROTRUSION if east == s.WALL else 0.0) - x) / dx
        if dy != 0.0:
            edge = (up + 1) * s.CELL if dy > 0.0 else up * s.CELL
            ty = (edge - (step_y * PROTRUSION if north == s.WALL else 0.0) - y) / dy
        at = max(at, min(tx, ty))
        if at >= t:
            return t
        # Step into the next cell, unless its own walls protrude into the way.
        if tx < ty:
            if east == s.WALL:
                return at
            col += step_x
            part = y + dy * at - up * s.CELL
            row = w.rows - 1 - up
            if (part < PROTRUSION and cell_at(w, row + 1, col) == s.WALL) or (
                part > s.CELL - PROTRUSION and cell_at(w, row - 1, col) == s.WALL
            ):
                return at
        else:
            if north == s.WALL:
                return at
            up += step_y
            part = x + dx * at - col * s.CELL
            row = w.rows - 1 - up
            if (part < PROTRUSION and cell_at(w, row, col - 1) == s.WALL) or (
                part > s.CELL - PROTRUSION and cell_at(w, row, col + 1) == s.WALL
            ):
                return at
    return t


@kernel
def _ray_terrain(w, x, y, z, dx, dy, dz, max_dist):
    """March in steps of a quarter cell of the height table, then bisect the step that went below the ground."""
    step = 0.25 * terrain.SPACING
    t = 0.0
    while t < max_dist:
        far = min(t + step, max_dist)
        if z + dz * far < terrain.height(w, x + dx * far, y + dy * far):
            near = t
            for _ in range(8):
                mid = 0.5 * (near + far)
                if z + dz * mid < terrain.height(w, x + dx * mid, y + dy * mid):
                    far = mid
                else:
                    near = mid
            return near
        t = far
    return max_dist


@kernel
def ray_hit(w, x, y, z, dx, dy, dz, max_dist):
    """Distance from (x, y, z) along the unit vector (dx, dy, dz) to the first solid, at most `max_dist`."""
    if w.geometry == s.GRID:
        return _ray_grid(w, x, y, z, dx, dy, dz, max_dist)
    if w.geometry == s.TERRAIN:
        max_dist = _ray_terrain(w, x, y, z, dx, dy, dz, max_dist)
    f, _, _, _, _ = _trace_brushes(w, x, y, z, x + dx * max_dist, y + dy * max_dist, z + dz * max_dist, 0.0, 0.0, 0.0)
    return f * max_dist


@kernel
def line_of_sight(w, x0, y0, z0, x1, y1, z1):
    """Whether no solid stands between two points."""
    dx = x1 - x0
    dy = y1 - y0
    dz = z1 - z0
    far = np.sqrt(dx * dx + dy * dy + dz * dz)
    if far == 0.0:
        return True
    return ray_hit(w, x0, y0, z0, dx / far, dy / far, dz / far, far) >= far - EPSILON
