"""Horizontal rays from the camera to the first wall: the part of rendering that depends on the map.

Walls are vertical, so the wall that a pixel shows depends only on the azimuth of its ray. A table over azimuth has, for
each sampled ray, the plane of the wall that the ray meets; `view.py` then intersects every pixel with that plane
exactly.
"""

import numpy as np

from flexlam_rl.envs.litelab import shade
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab.kernel import kernel

# Columns of a hit, float64. With d the ray's horizontal part (length 1 along the view axis' horizontal direction):
# depth along the ray = 1 / (d.x * QX + d.y * QY), wall coordinate = T0 + depth * (d.x * TX + d.y * TY). LIGHT is the
# number of the face's light table. A picture hangs around (CENTRE, PICTURE_Z), and RIGHT is 1 where the wall coordinate
# grows to the viewer's right, else -1. NEAR is the distance to the plane.
QX, QY, TX, TY, T0, TOP, TEXTURE, LIGHT, PICTURE, CENTRE, PICTURE_Z, RIGHT, NEAR = range(13)
HIT = 13

_STRIDE = 4  # every fourth ray of the table is cast first; rays between two that meet the same wall need no cast
LIP = 6.0  # visible part of an open door's leaf, which moves by 92 of its 98 units (recorded)
_LEAF = 1.0  # half the thickness of a door leaf


@kernel
def _plane_x(hit, ex, ey, plane):
    """Fill `hit` with the wall x = plane."""
    hit[QX] = 1.0 / (plane - ex)
    hit[QY] = 0.0
    hit[TX] = 0.0
    hit[TY] = 1.0
    hit[T0] = ey
    hit[NEAR] = abs(plane - ex)


@kernel
def _plane_y(hit, ex, ey, plane):
    """Fill `hit` with the wall y = plane."""
    hit[QX] = 0.0
    hit[QY] = 1.0 / (plane - ey)
    hit[TX] = 1.0
    hit[TY] = 0.0
    hit[T0] = ex
    hit[NEAR] = abs(plane - ey)


@kernel
def _door(w, row, col, ex, ey, dx, dy, hit):
    """Test the door leaf in a cell; returns 0, or 1 to 3 for the side of the leaf that the ray meets."""
    kind = w.cell[row, col]
    cx = (col + 0.5) * s.CELL
    cy = (w.rows - row - 0.5) * s.CELL
    shift = s.CELL - 2.0 - LIP if w.door_open[row, col] == 1 else 0.0
    low = 1.0 - 0.5 * s.CELL + shift
    high = 0.5 * s.CELL
    # in the leaf's own axes: p along it, v across it
    if kind == s.DOOR_H:
        pa, pc, da, dc = ex - cx, ey - cy, dx, dy
    else:
        pa, pc, da, dc = ey - cy, ex - cx, dy, dx
    side = 0
    if dc != 0.0:
        face = -_LEAF if dc > 0.0 else _LEAF
        t = (face - pc) / dc
        along = pa + t * da
        if t > 0.0 and low <= along <= high:
            side = 1 if dc > 0.0 else 2
            if kind == s.DOOR_H:
                _plane_y(hit, ex, ey, cy + face)
            else:
                _plane_x(hit, ex, ey, cx + face)
            # the texture moves with the sliding leaf
            hit[T0] -= shift
    if side == 0 and da > 0.0 and shift > 0.0:
        t = (low - pa) / da
        across = pc + t * dc
        if t > 0.0 and -_LEAF <= across <= _LEAF:
            side = 3
            if kind == s.DOOR_H:
                _plane_x(hit, ex, ey, cx + low)
            else:
                _plane_y(hit, ex, ey, cy + low)
    if side > 0:
        hit[TOP] = s.WALL_HEIGHT
        hit[TEXTURE] = tx.DOOR
        hit[LIGHT] = shade.UNLIT
        hit[PICTURE] = 0
    return side


@kernel
def _opaque(w, row, col):
    return row < 0 or row >= w.rows or col < 0 or col >= w.cols or w.cell[row, col] == s.WALL


@kernel
def cast_grid(w, ex, ey, dx, dy, hit):
    """Follow a ray through the text maze to the first wall or door leaf and return a number of that face."""
    rows = w.rows
    cols = w.cols
    col = min(max(int(np.floor(ex * (1.0 / s.CELL))), 0), cols - 1)
    row = rows - 1 - min(max(int(np.floor(ey * (1.0 / s.CELL))), 0), rows - 1)
    east = 1 if dx > 0.0 else 0
    north = 1 if dy > 0.0 else 0
    inv_x = 1.0 / dx if dx != 0.0 else 1e30
    inv_y = 1.0 / dy if dy != 0.0 else 1e30
    delta_x = abs(s.CELL * inv_x)
    delta_y = abs(s.CELL * inv_y)
    next_x = abs(((col + east) * s.CELL - ex) * inv_x)
    next_y = abs(((rows - 1 - row + north) * s.CELL - ey) * inv_y)
    while True:
        if w.cell[row, col] >= s.DOOR_H:
            leaf = _door(w, row, col, ex, ey, dx, dy, hit)
            if leaf > 0:
                return (row * s.MAX_CELLS + col) * 8 + 4 + leaf
        if next_x < next_y:
            ahead = col + 2 * east - 1
            if ahead < 0 or ahead >= cols or w.cell[row, ahead] == s.WALL:
                # walls protrude one unit into the open cell
                _plane_x(hit, ex, ey, (col + 1) * s.CELL - 1.0 if east else col * s.CELL + 1.0)
                side = s.EAST if east else s.WEST
                lights = (
                    _opaque(w, row + 1, col) + 2 * _opaque(w, row - 1, col) + 4 * _opaque(w, row, col - 2 * east + 1)
                )
                hit[CENTRE] = (rows - row - 0.5) * s.CELL
                hit[RIGHT] = 1.0 - 2.0 * east
                break
            col = ahead
            next_x += delta_x
        else:
            ahead = row - 2 * north + 1
            if ahead < 0 or ahead >= rows or w.cell[ahead, col] == s.WALL:
                up = rows - 1 - row
                _plane_y(hit, ex, ey, (up + 1) * s.CELL - 1.0 if north else up * s.CELL + 1.0)
                side = s.NORTH if north else s.SOUTH
                lights = (
                    _opaque(w, row, col - 1) + 2 * _opaque(w, row, col + 1) + 4 * _opaque(w, row + 2 * north - 1, col)
                )
                hit[CENTRE] = (col + 0.5) * s.CELL
                hit[RIGHT] = 2.0 * north - 1.0
                break
            row = ahead
            next_y += delta_y
    hit[TOP] = s.WALL_HEIGHT
    hit[TEXTURE] = w.wall_texture[w.variation[row, col]]
    hit[LIGHT] = lights
    hit[PICTURE] = w.decal[row, col, side]
    hit[PICTURE_Z] = tx.PICTURE_HEIGHT
    return (row * s.MAX_CELLS + col) * 8 + side


@kernel
def cast_segments(w, ex, ey, dx, dy, hit):
    """Find the nearest wall piece whose front a ray meets; returns its number, or MAX_SEGMENTS if there is none."""
    best = 0.0
    found = s.MAX_SEGMENTS
    for k in range(w.segment_count):
        g = w.segments[k]
        if g.active == 0:
            continue
        wx = g.x1 - g.x0
        wy = g.y1 - g.y0
        # distance of the eye from the piece's left side, and speed of the ray towards it
        ox = g.x0 - ex
        oy = g.y0 - ey
        gap = wy * ox - wx * oy
        speed = wy * dx - wx * dy
        if gap <= 0.0 or speed <= 0.0:
            continue
        q = speed / gap  # inverse distance
        if q <= best:
            continue
        t = 1.0 / q
        part = ((t * dx - ox) * wx + (t * dy - oy) * wy) / (wx * wx + wy * wy)
        if -1e-6 <= part <= 1.0 + 1e-6:
            best = q
            found = k
    if found == s.MAX_SEGMENTS:
        hit[QX] = dx * 1e-4
        hit[QY] = dy * 1e-4
        hit[TX] = 0.0
        hit[TY] = 0.0
        hit[T0] = 0.0
        hit[TOP] = -1e9
        hit[TEXTURE] = 0
        hit[PICTURE] = 0
        hit[LIGHT] = shade.UNLIT
        hit[NEAR] = 1e4
        return found
    g = w.segments[found]
    wx = g.x1 - g.x0
    wy = g.y1 - g.y0
    length = np.sqrt(wx * wx + wy * wy)
    ox = g.x0 - ex
    oy = g.y0 - ey
    gap = wy * ox - wx * oy
    hit[QX] = wy / gap
    hit[QY] = -wx / gap
    # from the front, point 0 is on the viewer's right
    hit[TX] = wx / length
    hit[TY] = wy / length
    hit[T0] = -(ox * wx + oy * wy) / length
    hit[RIGHT] = -1.0
    hit[TOP] = g.z1
    hit[TEXTURE] = g.texture
    hit[PICTURE] = g.picture
    hit[CENTRE] = 0.5 * length
    hit[PICTURE_Z] = 0.5 * g.z1
    hit[LIGHT] = shade.UNLIT
    hit[NEAR] = gap / length
    return found


@kernel
def _direction(a, diamond, cos_yaw, sin_yaw):
    """Horizontal ray of the table coordinate `a`: a tangent to the right of the view axis, or a diamond angle in -2..2
    (a full turn).
    """
    f = 1.0
    r = a
    if diamond:
        if a > 1.0:
            f = 1.0 - a
            r = 2.0 - a
        elif a < -1.0:
            f = 1.0 + a
            r = -2.0 - a
        else:
            f = 1.0 - abs(a)
    return f * cos_yaw + r * sin_yaw, f * sin_yaw - r * cos_yaw


@kernel
def _cast(w, ex, ey, dx, dy, hit):
    if w.geometry == s.GRID:
        return cast_grid(w, ex, ey, dx, dy, hit)
    return cast_segments(w, ex, ey, dx, dy, hit)


@kernel
def table(w, ex, ey, cos_yaw, sin_yaw, low, step, diamond, n, index, hits):
    """Cast the rays low + step * k, k < n, and set index[k] to the row of `hits` (n + 1 rows) that ray k meets. Returns
    the number of rows used.
    """
    used = 1
    dx, dy = _direction(low, diamond, cos_yaw, sin_yaw)
    last = _cast(w, ex, ey, dx, dy, hits[0])
    index[0] = 0
    done = 0
    while done < n - 1:
        k = min(done + _STRIDE, n - 1)
        dx, dy = _direction(low + step * k, diamond, cos_yaw, sin_yaw)
        ahead = used
        face = _cast(w, ex, ey, dx, dy, hits[ahead])
        row = index[done]
        if face == last:
            ahead = row
            for j in range(done + 1, k):
                index[j] = row
        else:
            used += 1
            for j in range(done + 1, k):
                dx, dy = _direction(low + step * j, diamond, cos_yaw, sin_yaw)
                between = _cast(w, ex, ey, dx, dy, hits[used])
                if between == last:
                    index[j] = row
                elif between == face:
                    index[j] = ahead
                else:
                    index[j] = used
                    last = between
                    row = used
                    used += 1
            last = face
        index[k] = ahead
        done = k
    return used
