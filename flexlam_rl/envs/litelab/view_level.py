"""Walls, floor and sky as seen at pitch 0, where a picture column meets one wall at one depth, and a row one depth of floor."""

import numpy as np

from flexlam_rl.envs.litelab import rays
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.shade import STEPS
from flexlam_rl.envs.litelab.spans import cell_floor_span, plain_span
from flexlam_rl.envs.litelab.texel import FRACTION, LIGHT_SHIFT, ONE, mip_level, picture_texel, put, sky_place, sky_side, sky_texel


@kernel
def draw_level(w, eye, atlas, repeat, pictures, sky, floor_light, wall_light, surface, rgb, depth):
    """Draw the view for pitch 0; `eye` is `camera.camera`'s tuple, `surface` is `render.surface`'s."""
    height, width = depth.shape
    ex, ey, ez, cos_yaw, sin_yaw, _, _ = eye
    floor_texture, floor, ceiling_texture, ceiling, light, sky_number = surface
    step = 2.0 / width
    index = np.empty(width, np.int32)
    hits = np.empty((width + 1, rays.HIT))
    first = np.empty(width, np.int32)  # rows of the wall: first <= y < last
    last = np.empty(width, np.int32)
    rays.table(w, ex, ey, cos_yaw, sin_yaw, 0.5 * step - 1.0, step, False, width, index, hits)
    # the row y looks up by (height - 1 - 2 * y) / width
    for x in range(width):
        k = index[x]
        u = 0.5 * step - 1.0 + step * x
        dx = cos_yaw + u * sin_yaw
        dy = sin_yaw - u * cos_yaw
        far = 1.0 / (dx * hits[k, rays.QX] + dy * hits[k, rays.QY])
        y0 = int(np.ceil(0.5 * (height - 1 - width * (min(hits[k, rays.TOP], ceiling) - ez) / far)))
        y1 = int(np.ceil(0.5 * (height - 1 - width * (floor - ez) / far)))
        y0 = min(max(y0, 0), height)
        y1 = min(max(y1, y0), height)
        first[x] = y0
        last[x] = y1
        if ceiling_texture < 0 and y0 > 0:
            _sky_column(sky, sky_number, ex, ey, ez, dx, dy, x, y0, rgb, depth)
        along = hits[k, rays.T0] + far * (dx * hits[k, rays.TX] + dy * hits[k, rays.TY])
        covered = step * max(far, far * far / hits[k, rays.NEAR])
        texture = int(hits[k, rays.TEXTURE])
        per_unit = float(repeat[texture]) * ONE
        level = mip_level(covered * float(repeat[texture]) * tx.SIZE)
        size = tx.SIZE >> level
        mask = size - 1
        shift = FRACTION - tx.SIZE_BITS + level
        texels = atlas[texture]
        u = int(along * per_unit)
        column = tx.LEVEL_START[level] + ((u >> shift) & mask)
        lights = wall_light[int(hits[k, rays.LIGHT])]
        place = (u >> LIGHT_SHIFT) & (STEPS - 1)
        grow = int(2.0 / width * far * per_unit)
        v = int((hits[k, rays.TOP] - ez - far * (height - 1 - 2 * y0) / width) * per_unit)
        picture = int(hits[k, rays.PICTURE])
        for y in range(y0, y1):
            packed = int(texels[column + ((v >> shift) & mask) * size])
            if picture > 0:
                packed = picture_texel(pictures, hits, k, along, ez + far * (height - 1 - 2 * y) / width, covered, packed)
            put(rgb, y, x, packed, int(lights[(v >> LIGHT_SHIFT) & (STEPS - 1), place]) + 1)
            depth[y, x] = far
            v += grow
    _flat_rows(w, eye, atlas, repeat, floor_light, floor_texture, floor, light, last, True, rgb, depth)
    if ceiling_texture >= 0:
        _flat_rows(w, eye, atlas, repeat, floor_light, ceiling_texture, ceiling, 256, first, False, rgb, depth)


@kernel
def _sky_column(sky, number, ex, ey, ez, dx, dy, x, y1, rgb, depth):
    """Sky in the rows above y1 of a column: one face of the cube, unless the column reaches its upper edge."""
    height, width = depth.shape
    face, t, across = sky_side(ex, ey, dx, dy)
    column = sky[number, face, sky_place(across)]
    fall = 2.0 * t / width
    z = ez + t * (height - 1) / width
    for y in range(y1):
        if z < tx.SKY_HALF:
            packed = column[sky_place(z)]
        else:
            packed = sky_texel(sky, number, ex, ey, ez, dx, dy, (height - 1 - 2 * y) / width)
        put(rgb, y, x, packed, 256)
        depth[y, x] = tx.SKY_DEPTH
        z -= fall


@kernel
def _flat_rows(w, eye, atlas, repeat, floor_light, texture, level_z, light, bound, below, rgb, depth):
    """Draw the floor below the rows `bound`, or the ceiling above them."""
    height, width = depth.shape
    ex, ey, ez, cos_yaw, sin_yaw, _, _ = eye
    ground = w.ground
    step = 2.0 / width
    gap = abs(ez - level_z)
    begin = bound.min() if below else 0
    end = height if below else bound.max()
    scale = 1.0 / s.CELL if texture < 0 else float(repeat[texture])
    texels = atlas[max(texture, 0)]
    for y in range(begin, end):
        t = gap * width / abs(2 * y + 1 - height)
        level = mip_level(max(t * t / gap, t) * step * scale * tx.SIZE)
        px = ex + t * (cos_yaw + (0.5 * step - 1.0) * sin_yaw)
        py = ey + t * (sin_yaw - (0.5 * step - 1.0) * cos_yaw)
        ax = t * step * sin_yaw
        ay = -t * step * cos_yaw
        x = 0
        while x < width:
            if (y >= bound[x]) != below:
                x += 1
                continue
            x0 = x
            while x < width and (y >= bound[x]) == below:
                x += 1
            if texture < 0:
                cell_floor_span(ground, w.rows, atlas, floor_light, level, px, py, ax, ay, t, y, x0, x, rgb, depth)
            else:
                plain_span(texels, scale, light, level, px, py, ax, ay, t, y, x0, x, rgb, depth)
