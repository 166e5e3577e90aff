"""Drawing of the pixels of one row, as simple loops over the row that compile to vector instructions.

Loops use float32 and int32 and have no branches. Texture coordinates are integers with 2 ** FRACTION per repeat, so
that cell, texel and place in a light table are shifts of one number. `u[x]` is the position of pixel x to the right of
the view axis; its ray is (forward_x + u[x] * right_x, forward_y + u[x] * right_y, dz), and depth is measured in lengths
of the ray. `flat[x]` is 1 where floor, ceiling or sky is visible instead of the wall. `place` and `light` get the
indices of texel and light in `Look.texels` and `Look.lights`.
"""

import numpy as np

from flexlam_rl.envs.litelab import rays
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab.kernel import kernel, loop_kernel
from flexlam_rl.envs.litelab.shade import EVEN, STEP_BITS, STEPS, WALLS

FRACTION = 16
ONE = float(1 << FRACTION)
LIGHT_SHIFT = FRACTION - STEP_BITS
TEXEL_SHIFT = FRACTION - tx.SIZE_BITS

# Rows of the table of walls, float32: plane and direction as in rays.py, then texture coordinates in units of 1 / ONE
# of a repeat; FACE combines the numbers of the texture and of the light table.
QX, QY, TX, TY, U0, V0, PER_UNIT, FACE, REACH, RISE, PICTURE = range(11)
WALL = 11


@kernel
def prepare_walls(hits, count, repeat, ez, step, walls):
    """Convert the hits of a table to the table of walls."""
    for k in range(count):
        texture = int(hits[k, rays.TEXTURE])
        per_unit = float(repeat[texture]) * ONE
        walls[QX, k] = hits[k, rays.QX]
        walls[QY, k] = hits[k, rays.QY]
        walls[TX, k] = hits[k, rays.TX] * per_unit
        walls[TY, k] = hits[k, rays.TY] * per_unit
        walls[U0, k] = hits[k, rays.T0] * per_unit
        walls[V0, k] = (hits[k, rays.TOP] - ez) * per_unit
        walls[PER_UNIT, k] = per_unit
        walls[FACE, k] = texture * 16 + hits[k, rays.LIGHT]
        walls[REACH, k] = step / hits[k, rays.NEAR]
        walls[RISE, k] = hits[k, rays.TOP] - ez
        walls[PICTURE, k] = hits[k, rays.PICTURE]


@loop_kernel
def azimuths(u, h, low, per_step, last, diamond, index, met):
    """Set met[x] to the wall that the ray (h forward, u[x] sideways) meets."""
    f0 = np.float32(0.5 - low * per_step)
    f1 = np.float32(per_step)
    top = np.float32(last)
    if not diamond:
        f1 = np.float32(per_step / h)
        for x in range(u.size):
            met[x] = index[np.uint32(min(max(u[x] * f1 + f0, np.float32(0.0)), top))]
        return
    a = np.float32(abs(h))
    one = np.float32(1.0)
    if h >= 0.0:
        for x in range(u.size):
            at = u[x] / (a + abs(u[x]))
            met[x] = index[np.uint32(min(max(at * f1 + f0, np.float32(0.0)), top))]
    else:
        for x in range(u.size):
            at = one + a / (a + abs(u[x]))
            at = at if u[x] > np.float32(0.0) else -at
            met[x] = index[np.uint32(min(max(at * f1 + f0, np.float32(0.0)), top))]


@loop_kernel
def depths(u, met, walls, forward_x, forward_y, right_x, right_y, over, bound, near, flat):
    """Set near[x] to the inverse depth of the wall, and flat[x] to 1 where floor, ceiling or sky is visible instead.
    Returns the number of such pixels.
    """
    count = 0
    hx = np.float32(forward_x)
    hy = np.float32(forward_y)
    rx = np.float32(right_x)
    ry = np.float32(right_y)
    least = np.float32(1e-6)
    limit = np.float32(bound)
    for x in range(u.size):
        k = np.uint32(met[x])
        q = max((hx + u[x] * rx) * walls[QX, k] + (hy + u[x] * ry) * walls[QY, k], least)
        near[x] = q
        weigh = walls[RISE, k] if over else np.float32(1.0)
        beyond = np.int32(1) if q * weigh < limit else np.int32(0)
        flat[x] = beyond
        count += beyond
    return count


@kernel
def mip_level(covered):
    """Mip level of a pixel that covers `covered` texels of level 0."""
    return (
        np.int32(covered > np.float32(1.0))
        + np.int32(covered > np.float32(2.0))
        + np.int32(covered > np.float32(4.0))
        + np.int32(covered > np.float32(8.0))
        + np.int32(covered > np.float32(16.0))
    )


@loop_kernel
def wall_row(
    alike, u, met, near, walls, forward_x, forward_y, right_x, right_y, dz, h, step, starts, place, light, depth_row
):
    hx = np.float32(forward_x)
    hy = np.float32(forward_y)
    rx = np.float32(right_x)
    ry = np.float32(right_y)
    rise = np.float32(dz)
    tall = np.float32(step)
    wide = np.float32(abs(h))
    texels = np.float32(tx.SIZE / ONE)
    one = np.float32(1.0)
    repeat = walls[PER_UNIT, 0]
    top = walls[V0, 0]
    for x in range(u.size):
        k = np.uint32(met[x])
        t = one / near[x]
        per_unit = repeat if alike else walls[PER_UNIT, k]
        across = np.int32(walls[U0, k] + t * ((hx + u[x] * rx) * walls[TX, k] + (hy + u[x] * ry) * walls[TY, k]))
        down = np.int32((top if alike else walls[V0, k]) - t * rise * per_unit)
        level = mip_level(max(tall * t, walls[REACH, k] * wide * t * t) * per_unit * texels)
        mask = np.int32(tx.SIZE - 1) >> level
        shift = TEXEL_SHIFT + level
        row = (down >> shift) & mask
        column = (across >> shift) & mask
        face = np.int32(walls[FACE, k])
        place[x] = (face >> 4) * tx.TEXELS + starts[np.uint32(level)] + (row << (tx.SIZE_BITS - level)) + column
        light[x] = (
            WALLS
            + ((face & 15) << (2 * STEP_BITS))
            + (((down >> LIGHT_SHIFT) & (STEPS - 1)) << STEP_BITS)
            + ((across >> LIGHT_SHIFT) & (STEPS - 1))
        )
        depth_row[x] = t


@loop_kernel
def cell_floor_row(ground, px, py, ax, ay, t, level, flat, place, light, depth_row):
    """Draw the floor of a text maze: each cell's own texture with its baked light. (px, py) are the texture coordinates
    at column 0.
    """
    x0 = np.float32(px)
    y0 = np.float32(py)
    x1 = np.float32(ax)
    y1 = np.float32(ay)
    far = np.float32(t)
    mask = (tx.SIZE >> level) - 1
    shift = TEXEL_SHIFT + level
    start = tx.LEVEL_START[level]
    bits = tx.SIZE_BITS - level
    for x in range(flat.size):
        at = np.float32(np.int32(x))
        fx = np.int32(x0 + at * x1)
        fy = np.int32(y0 + at * y1)
        cell = np.int32(
            ground[np.uint32((fy >> FRACTION) & (s.MAX_CELLS - 1)), np.uint32((fx >> FRACTION) & (s.MAX_CELLS - 1))]
        )
        texel = (cell & 255) * tx.TEXELS + start + (((fy >> shift) & mask) << bits) + ((fx >> shift) & mask)
        lit = (
            (cell >> 8 << (2 * STEP_BITS))
            + (((fy >> LIGHT_SHIFT) & (STEPS - 1)) << STEP_BITS)
            + ((fx >> LIGHT_SHIFT) & (STEPS - 1))
        )
        shows = flat[x] != 0
        place[x] = texel if shows else place[x]
        light[x] = lit if shows else light[x]
        depth_row[x] = far if shows else depth_row[x]


@loop_kernel
def plain_row(base, lit, px, py, ax, ay, t, level, flat, place, light, depth_row):
    """Draw a floor or ceiling with one texture and one light."""
    x0 = np.float32(px)
    y0 = np.float32(py)
    x1 = np.float32(ax)
    y1 = np.float32(ay)
    far = np.float32(t)
    mask = (tx.SIZE >> level) - 1
    shift = TEXEL_SHIFT + level
    start = base + tx.LEVEL_START[level]
    bits = tx.SIZE_BITS - level
    for x in range(flat.size):
        at = np.float32(np.int32(x))
        texel = (
            start + (((np.int32(y0 + at * y1) >> shift) & mask) << bits) + ((np.int32(x0 + at * x1) >> shift) & mask)
        )
        shows = flat[x] != 0
        place[x] = texel if shows else place[x]
        light[x] = lit if shows else light[x]
        depth_row[x] = far if shows else depth_row[x]


@loop_kernel
def sky_row(base, ex, ey, ez, u, forward_x, forward_y, right_x, right_y, dz, flat, place, light, depth_row):
    """Draw the sky: a cube without its lower face around the world's origin.

    As in the recordings, it does not move with the player, and its north and west faces are mirrored.
    """
    hx = np.float32(forward_x)
    hy = np.float32(forward_y)
    rx = np.float32(right_x)
    ry = np.float32(right_y)
    up = np.float32(max(dz, 1e-9))
    half = np.float32(tx.SKY_HALF)
    x0 = np.float32(ex)
    y0 = np.float32(ey)
    z0 = np.float32(ez)
    zero = np.float32(0.0)
    least = np.float32(1e-9)
    scale = np.float32(0.5 * tx.SKY_SIZE / tx.SKY_HALF)
    highest = np.float32(tx.SKY_SIZE - 1)
    top = (half - z0) / up
    far = np.float32(tx.SKY_DEPTH)
    lit = np.int32(EVEN + 255)
    for x in range(flat.size):
        dx = hx + u[x] * rx
        dy = hy + u[x] * ry
        tx_ = (half - x0 if dx > zero else half + x0) / max(abs(dx), least)
        ty_ = (half - y0 if dy > zero else half + y0) / max(abs(dy), least)
        by_x = tx_ <= ty_
        t = min(tx_, ty_)
        above = top < t
        t = min(t, top)
        face = (np.int32(0) if dx > zero else np.int32(2)) if by_x else (np.int32(1) if dy > zero else np.int32(3))
        face = np.int32(4) if above else face
        across = y0 + t * dy if by_x else x0 + t * dx
        across = y0 + t * dy if above else across
        down = -x0 - t * dx if above else z0 + t * np.float32(up)
        i = np.int32(min(max((half - across) * scale, zero), highest))
        j = np.int32(min(max((half - down) * scale, zero), highest))
        shows = flat[x] != 0
        place[x] = base + ((face * tx.SKY_SIZE + i) * tx.SKY_SIZE + j) if shows else place[x]
        light[x] = lit if shows else light[x]
        depth_row[x] = far if shows else depth_row[x]


@kernel
def picture_row(u, met, near, flat, walls, hits, base, ez, forward_x, forward_y, right_x, right_y, dz, h, step, place):
    """Replace wall texels by those of the pictures on the walls."""
    for x in range(u.size):
        k = np.uint32(met[x])
        picture = int(walls[PICTURE, k])
        if picture == 0 or flat[x] != 0:
            continue
        t = 1.0 / near[x]
        dx = forward_x + u[x] * right_x
        dy = forward_y + u[x] * right_y
        along = hits[k, rays.T0] + t * (dx * hits[k, rays.TX] + dy * hits[k, rays.TY])
        a = (along - hits[k, rays.CENTRE]) * hits[k, rays.RIGHT] * (1.0 / tx.PICTURE_WIDTH) + 0.5
        b = (hits[k, rays.PICTURE_Z] - ez - t * dz) * (1.0 / tx.PICTURE_WIDTH) + 0.5
        if a < 0.0 or a >= 1.0 or b < 0.0 or b >= 1.0:
            continue
        covered = max(step * t, abs(h) * walls[REACH, k] * t * t)
        level = min(int(mip_level(np.float32(covered * (tx.PICTURE_SIZE / tx.PICTURE_WIDTH)))), tx.PICTURE_LEVELS - 1)
        size = tx.PICTURE_SIZE >> level
        place[x] = (
            base
            + (picture - 1) * tx.PICTURE_TEXELS
            + tx.PICTURE_LEVEL_START[level]
            + int(b * size) * size
            + int(a * size)
        )


@loop_kernel
def colors(texels, lights, place, light, packed):
    """Compute packed colors: texel * light / 256."""
    for x in range(packed.size):
        texel = texels[np.uint32(place[x])]
        lit = lights[np.uint32(light[x])]
        # red and blue are multiplied together, because there is room for both products
        red_blue = (np.uint32((texel & np.uint32(0xFF00FF)) * lit) >> np.uint32(8)) & np.uint32(0xFF00FF)
        green = (np.uint32((texel & np.uint32(0x00FF00)) * lit) >> np.uint32(8)) & np.uint32(0x00FF00)
        packed[x] = red_blue | green


@loop_kernel
def unpack(packed, row):
    """Convert packed colors to 3 * W bytes."""
    for x in range(packed.size):
        color = packed[x]
        row[3 * x] = np.uint8(color)
        row[3 * x + 1] = np.uint8(color >> np.uint32(8))
        row[3 * x + 2] = np.uint8(color >> np.uint32(16))
