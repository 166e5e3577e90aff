"""Walls, floor and sky as seen at pitch 0, where a picture column meets one wall at one depth, and a row one depth of floor."""

import numpy as np

from flexlam_rl.envs.litelab import rays
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.shade import STEPS
from flexlam_rl.envs.litelab.texel import mip_level, picture_texel, put, sky_texel


@kernel
def draw_level(w, eye, atlas, repeat, pictures, sky, floor_light, wall_light, surface, rgb, depth):
    """Draw the view for pitch 0; `eye` is `render.camera`'s tuple, `surface` is `render.surface`'s."""
    height, width = depth.shape
    ex, ey, ez, cos_yaw, sin_yaw, _, _ = eye
    floor_texture, floor, ceiling_texture, ceiling, light_level = surface
    step = 2.0 / width
    index = np.empty(width, np.int32)
    hits = np.empty((width + 1, rays.HIT))
    first = np.empty(width, np.int32)  # rows of the wall: first <= y < last
    last = np.empty(width, np.int32)
    rays.table(w, ex, ey, cos_yaw, sin_yaw, 0.5 * step - 1.0, step, False, width, index, hits)
    per_depth = 1.0 / width
    sky_number = w.sky
    lowest = height
    for x in range(width):
        k = index[x]
        u = 0.5 * step - 1.0 + step * x
        dx = cos_yaw + u * sin_yaw
        dy = sin_yaw - u * cos_yaw
        far = 1.0 / (dx * hits[k, rays.QX] + dy * hits[k, rays.QY])
        along = hits[k, rays.T0] + far * (dx * hits[k, rays.TX] + dy * hits[k, rays.TY])
        top = min(hits[k, rays.TOP], ceiling)
        # row y looks up by v = (height - 1 - 2 * y) / width
        y0 = int(np.ceil(0.5 * (height - 1 - width * (top - ez) / far)))
        y1 = int(np.ceil(0.5 * (height - 1 - width * (floor - ez) / far)))
        y0 = min(max(y0, 0), height)
        y1 = min(max(y1, y0), height)
        first[x] = y0
        last[x] = y1
        lowest = min(lowest, y1)
        if ceiling_texture < 0:
            for y in range(y0):
                put(rgb, y, x, sky_texel(sky, sky_number, ex, ey, ez, dx, dy, (height - 1 - 2 * y) * per_depth), 256)
                depth[y, x] = tx.SKY_DEPTH
        if y0 == y1:
            continue
        reach = step * max(far, far * far / hits[k, rays.NEAR])
        texture = int(hits[k, rays.TEXTURE])
        scale = float(repeat[texture])
        level = mip_level(reach * scale * tx.SIZE)
        size = tx.SIZE >> level
        mask = size - 1
        column = tx.level_start(level) + (int((along * scale + 64.0) * size) & mask)
        texels = atlas[texture]
        lights = wall_light[int(hits[k, rays.LIGHT]), :, int((along - hits[k, rays.START]) * (STEPS / s.CELL)) & (STEPS - 1)]
        z = ez + far * (height - 1 - 2 * y0) * per_depth
        dz = -2.0 * far * per_depth
        v = ((hits[k, rays.TOP] - z) * scale + 64.0) * size
        dv = -dz * scale * size
        picture = int(hits[k, rays.PICTURE])
        for y in range(y0, y1):
            light = int(lights[min(max(int((z - floor) * (STEPS / s.CELL)), 0), STEPS - 1)]) + 1
            packed = int(texels[column + (int(v) & mask) * size])
            if picture > 0:
                over = picture_texel(pictures, hits[k, rays.CENTRE], hits[k, rays.PICTURE_Z], hits[k, rays.RIGHT], picture, along, z, reach)
                if over >> 24 != 0:
                    packed = over
            put(rgb, y, x, packed, light)
            depth[y, x] = far
            z += dz
            v += dv
    for y in range(lowest, height):
        t = (ez - floor) * width / (2 * y + 1 - height)
        footprint = max(t * t / (ez - floor), t) * step
        _flat_row(w, atlas, repeat, floor_light, floor_texture, light_level, t, footprint, eye, y, last, False, rgb, depth)
    if ceiling_texture >= 0:
        for y in range(first.max()):
            t = (ceiling - ez) * width / (height - 1 - 2 * y)
            footprint = max(t * t / (ceiling - ez), t) * step
            _flat_row(w, atlas, repeat, floor_light, ceiling_texture, 256, t, footprint, eye, y, first, True, rgb, depth)


@kernel
def _flat_row(w, atlas, repeat, floor_light, texture, light, t, footprint, eye, y, bound, above, rgb, depth):
    """Draw row `y` of the floor (or ceiling) at depth `t`, where the row lies below (or above) the column's `bound`.

    A texture of -1 stands for each cell's own floor and its baked light.
    """
    width = depth.shape[1]
    ex, ey, _, cos_yaw, sin_yaw, _, _ = eye
    step = 2.0 / width
    px = ex + t * (cos_yaw + (0.5 * step - 1.0) * sin_yaw)
    py = ey + t * (sin_yaw - (0.5 * step - 1.0) * cos_yaw)
    ax = t * step * sin_yaw
    ay = -t * step * cos_yaw
    scale = 1.0 / s.CELL if texture < 0 else float(repeat[texture])
    level = mip_level(footprint * scale * tx.SIZE)
    size = tx.SIZE >> level
    start = tx.level_start(level)
    mask = size - 1
    if texture >= 0:
        texels = atlas[texture]
        for x in range(width):
            if (y < bound[x]) == above:
                qx = (px + x * ax) * scale + 64.0
                qy = 64.0 - (py + x * ay) * scale
                put(rgb, y, x, texels[start + (int(qy * size) & mask) * size + (int(qx * size) & mask)], light)
                depth[y, x] = t
        return
    ground = w.ground
    last_col = w.cols - 1
    last_row = w.rows - 1
    for x in range(width):
        if y >= bound[x]:
            qx = (px + x * ax) * scale
            qy = (py + x * ay) * scale
            col = min(max(int(qx), 0), last_col)
            up = min(max(int(qy), 0), last_row)
            qx -= col
            qy -= up
            cell = int(ground[last_row - up, col])
            j = (size - 1 - int(qy * size)) & mask
            i = int(qx * size) & mask
            lit = int(floor_light[cell >> 8, int(qy * STEPS) & (STEPS - 1), int(qx * STEPS) & (STEPS - 1)]) + 1
            put(rgb, y, x, atlas[cell & 255, start + j * size + i], lit)
            depth[y, x] = t
