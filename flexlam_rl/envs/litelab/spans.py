"""Runs of pixels of one row that show the same surface: floor or ceiling, sky, or one wall.

Along a row the world point under a floor pixel moves evenly, and so does the inverse depth of a wall: each run needs little work a
pixel. A run is x0 <= x < x1; (px, py) is a value at column 0 and (ax, ay) its growth a column. Texture coordinates are integers of
which 2 ** FRACTION make one repeat, so that cell, texel and place in the light tables are shifts of one number.
"""

from flexlam_rl.envs.litelab import rays
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.shade import STEPS
from flexlam_rl.envs.litelab.texel import FRACTION, LIGHT_SHIFT, ONE, mip_level, picture_texel, put, sky_side, sky_texel

_PER_CELL = ONE / s.CELL


@kernel
def cell_floor_span(ground, rows, atlas, floor_light, level, px, py, ax, ay, t, y, x0, x1, rgb, depth):
    """Floor of a text maze at depth `t`: each cell's own texture, with its baked light."""
    size = tx.SIZE >> level
    start = tx.LEVEL_START[level]
    mask = size - 1
    shift = FRACTION - tx.SIZE_BITS + level
    step_x = int(ax * _PER_CELL)
    step_y = int(-ay * _PER_CELL)
    # y counts rows from the top, as cells and texels do
    fx = int(px * _PER_CELL) + x0 * step_x
    fy = int(rows * ONE - py * _PER_CELL) + x0 * step_y
    for x in range(x0, x1):
        cell = int(ground[(fy >> FRACTION) & (s.MAX_CELLS - 1), (fx >> FRACTION) & (s.MAX_CELLS - 1)])
        light = int(floor_light[cell >> 8, (fy >> LIGHT_SHIFT) & (STEPS - 1), (fx >> LIGHT_SHIFT) & (STEPS - 1)]) + 1
        put(rgb, y, x, atlas[cell & 255, start + ((fy >> shift) & mask) * size + ((fx >> shift) & mask)], light)
        depth[y, x] = t
        fx += step_x
        fy += step_y


@kernel
def plain_span(texels, scale, light, level, px, py, ax, ay, t, y, x0, x1, rgb, depth):
    """Floor or ceiling of one texture at depth `t`, under one light (of 256)."""
    size = tx.SIZE >> level
    start = tx.LEVEL_START[level]
    mask = size - 1
    shift = FRACTION - tx.SIZE_BITS + level
    step_x = int(ax * scale * ONE)
    step_y = int(-ay * scale * ONE)
    fx = int(px * scale * ONE) + x0 * step_x
    fy = int(-py * scale * ONE) + x0 * step_y
    for x in range(x0, x1):
        put(rgb, y, x, texels[start + ((fy >> shift) & mask) * size + ((fx >> shift) & mask)], light)
        depth[y, x] = t
        fx += step_x
        fy += step_y


@kernel
def sky_span(sky, number, ex, ey, ez, dx, dy, ax, ay, dz, y, x0, x1, rgb, depth):
    """Sky; (dx, dy) is the ray at column 0."""
    if x0 >= x1:
        return
    left, t, _ = sky_side(ex, ey, dx + x0 * ax, dy + x0 * ay)
    right, t1, _ = sky_side(ex, ey, dx + (x1 - 1) * ax, dy + (x1 - 1) * ay)
    if left != right or ez + max(t, t1) * dz >= tx.SKY_HALF:
        for x in range(x0, x1):
            put(rgb, y, x, sky_texel(sky, number, ex, ey, ez, dx + x * ax, dy + x * ay, dz), 256)
            depth[y, x] = tx.SKY_DEPTH
        return
    # all on one side of the cube: (d, a) run towards it, (c, b) along it
    image = sky[number, left]
    if left == 0 or left == 2:
        d, a, c, b, e = dx, ax, dy, ay, ey
        away = tx.SKY_HALF - ex if left == 0 else tx.SKY_HALF + ex
        if left == 2:
            d, a = -dx, -ax
    else:
        d, a, c, b, e = dy, ay, dx, ax, ex
        away = tx.SKY_HALF - ey if left == 1 else tx.SKY_HALF + ey
        if left == 3:
            d, a = -dy, -ay
    scale = 0.5 * tx.SKY_SIZE / tx.SKY_HALF
    middle = (tx.SKY_HALF - e) * scale
    base = (tx.SKY_HALF - ez) * scale
    dz *= scale
    c *= scale
    b *= scale
    for x in range(x0, x1):
        t = away / (d + x * a)
        j = int(base - t * dz) & (tx.SKY_SIZE - 1)
        i = int(middle - t * (c + x * b)) & (tx.SKY_SIZE - 1)
        put(rgb, y, x, image[i, j], 256)
        depth[y, x] = tx.SKY_DEPTH


@kernel
def wall_span(hits, k, atlas, repeat, pictures, wall_light, ez, dz, q, aq, along, a_along, reach, y, x0, x1, rgb, depth):
    """The wall of hit `k`.

    `q` is the inverse depth and `along` the wall coordinate (from the eye's) over depth, both at column 0; a pixel covers `reach` times
    depth squared of the wall's length.
    """
    texture = int(hits[k, rays.TEXTURE])
    texels = atlas[texture]
    lights = wall_light[int(hits[k, rays.LIGHT])]
    scale = float(repeat[texture])
    per_unit = scale * ONE
    origin_u = hits[k, rays.T0] * per_unit
    origin_v = (hits[k, rays.TOP] - ez) * per_unit
    picture = int(hits[k, rays.PICTURE])
    step = 2.0 / depth.shape[1]
    near = 1.0 / max(q + x0 * aq, q + (x1 - 1) * aq)
    far = 1.0 / min(q + x0 * aq, q + (x1 - 1) * aq)
    level = mip_level(max(step * near, reach * near * near) * scale * tx.SIZE)
    if picture > 0 or level != mip_level(max(step * far, reach * far * far) * scale * tx.SIZE):
        for x in range(x0, x1):
            far = 1.0 / (q + x * aq)
            way = far * (along + x * a_along)
            covered = max(step * far, reach * far * far)
            level = mip_level(covered * scale * tx.SIZE)
            size = tx.SIZE >> level
            shift = FRACTION - tx.SIZE_BITS + level
            u = int(origin_u + way * per_unit)
            v = int(origin_v - far * dz * per_unit)
            packed = int(texels[tx.LEVEL_START[level] + ((v >> shift) & (size - 1)) * size + ((u >> shift) & (size - 1))])
            if picture > 0:
                packed = picture_texel(pictures, hits, k, hits[k, rays.T0] + way, ez + far * dz, covered, packed)
            put(rgb, y, x, packed, int(lights[(v >> LIGHT_SHIFT) & (STEPS - 1), (u >> LIGHT_SHIFT) & (STEPS - 1)]) + 1)
            depth[y, x] = far
        return
    # most runs keep one mip level and have no picture
    size = tx.SIZE >> level
    mask = size - 1
    shift = FRACTION - tx.SIZE_BITS + level
    start = tx.LEVEL_START[level]
    along *= per_unit
    a_along *= per_unit
    dz *= per_unit
    for x in range(x0, x1):
        far = 1.0 / (q + x * aq)
        u = int(origin_u + far * (along + x * a_along))
        v = int(origin_v - far * dz)
        packed = texels[start + ((v >> shift) & mask) * size + ((u >> shift) & mask)]
        put(rgb, y, x, packed, int(lights[(v >> LIGHT_SHIFT) & (STEPS - 1), (u >> LIGHT_SHIFT) & (STEPS - 1)]) + 1)
        depth[y, x] = far
