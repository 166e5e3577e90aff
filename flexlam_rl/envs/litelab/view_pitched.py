"""Walls, floor and sky at any pitch: row by row, with a table of rays over all azimuths that the picture shows."""

import numpy as np

from flexlam_rl.envs.litelab import rays
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.shade import STEPS
from flexlam_rl.envs.litelab.texel import mip_level, picture_texel, put, sky_texel


@kernel
def draw_pitched(w, eye, atlas, repeat, pictures, sky, floor_light, wall_light, surface, rgb, depth):
    """Draw the view at any pitch; `eye` is `render.camera`'s tuple, `surface` is `render.surface`'s."""
    height, width = depth.shape
    ex, ey, ez, cos_yaw, sin_yaw, cos_pitch, sin_pitch = eye
    floor_texture, floor, ceiling_texture, ceiling, light_level = surface
    step = 2.0 / width
    v_max = (height - 1) / width
    h_low = cos_pitch - v_max * abs(sin_pitch)
    h_high = cos_pitch + v_max * abs(sin_pitch)
    diamond = h_low < 0.3
    if diamond:
        n = 8 * width
        low = -2.0
        ray_step = 4.0 / (n - 1)
    else:
        # two rays a pixel in the row whose rays lie closest
        low = -1.0 / h_low
        n = int(2.0 * width * h_high / h_low) + 2
        ray_step = 2.0 / h_low / (n - 1)
    per_step = 1.0 / ray_step
    index = np.empty(n, np.int32)
    hits = np.empty((n + 1, rays.HIT))
    rays.table(w, ex, ey, cos_yaw, sin_yaw, low, ray_step, diamond, n, index, hits)
    sky_number = w.sky
    ground = w.ground
    last_col = w.cols - 1
    last_row = w.rows - 1
    for y in range(height):
        v = (height - 1 - 2 * y) / width
        h = cos_pitch + v * sin_pitch
        dz = v * cos_pitch - sin_pitch
        # floor or ceiling lies at one depth in the whole row; where it is nearer than the wall, it is seen
        flat = floor if dz < 0.0 else ceiling
        q_flat = dz / (flat - ez)
        t_flat = 1.0 / max(q_flat, 1e-9)
        texture = floor_texture if dz < 0.0 else ceiling_texture
        lit = light_level if dz < 0.0 else 256
        footprint = step * max(t_flat, t_flat * t_flat * cos_pitch / max(abs(ez - flat), 1.0))
        flat_scale = 1.0 / s.CELL if texture < 0 else float(repeat[texture])
        flat_level = mip_level(footprint * flat_scale * tx.SIZE)
        flat_size = tx.SIZE >> flat_level
        flat_mask = flat_size - 1
        flat_start = tx.level_start(flat_level)
        inv_h = 1.0 / h if not diamond else 0.0
        for x in range(width):
            u = 0.5 * step - 1.0 + step * x
            if diamond:
                a = u / (abs(h) + abs(u))
                if h < 0.0:
                    a = 2.0 - a if a >= 0.0 else -2.0 - a
            else:
                a = u * inv_h
            k = index[min(max(int((a - low) * per_step + 0.5), 0), n - 1)]
            dx = h * cos_yaw + u * sin_yaw
            dy = h * sin_yaw - u * cos_yaw
            q = max(dx * hits[k, rays.QX] + dy * hits[k, rays.QY], 1e-9)
            if q < q_flat:
                px = (ex + t_flat * dx) * flat_scale
                py = (ey + t_flat * dy) * flat_scale
                light = lit
                if texture < 0:
                    col = min(max(int(px), 0), last_col)
                    up = min(max(int(py), 0), last_row)
                    px -= col
                    py -= up
                    cell = int(ground[last_row - up, col])
                    j = (flat_size - 1 - int(py * flat_size)) & flat_mask
                    i = int(px * flat_size) & flat_mask
                    number = cell & 255
                    light = int(floor_light[cell >> 8, int(py * STEPS) & (STEPS - 1), int(px * STEPS) & (STEPS - 1)]) + 1
                else:
                    j = int((64.0 - py) * flat_size) & flat_mask
                    i = int((px + 64.0) * flat_size) & flat_mask
                    number = texture
                put(rgb, y, x, atlas[number, flat_start + j * flat_size + i], light)
                depth[y, x] = t_flat
            elif dz > 0.0 and q * (hits[k, rays.TOP] - ez) < dz:
                put(rgb, y, x, sky_texel(sky, sky_number, ex, ey, ez, dx, dy, dz), 256)
                depth[y, x] = tx.SKY_DEPTH
            else:
                far = 1.0 / q
                z = ez + far * dz
                along = hits[k, rays.T0] + far * (dx * hits[k, rays.TX] + dy * hits[k, rays.TY])
                reach = step * max(far, far * far * abs(h) / hits[k, rays.NEAR])
                number = int(hits[k, rays.TEXTURE])
                scale = float(repeat[number])
                level = mip_level(reach * scale * tx.SIZE)
                size = tx.SIZE >> level
                i = int((along * scale + 64.0) * size) & (size - 1)
                j = int(((hits[k, rays.TOP] - z) * scale + 64.0) * size) & (size - 1)
                packed = int(atlas[number, tx.level_start(level) + j * size + i])
                picture = int(hits[k, rays.PICTURE])
                if picture > 0:
                    over = picture_texel(pictures, hits[k, rays.CENTRE], hits[k, rays.PICTURE_Z], hits[k, rays.RIGHT], picture, along, z, reach)
                    if over >> 24 != 0:
                        packed = over
                step_z = min(max(int((z - floor) * (STEPS / s.CELL)), 0), STEPS - 1)
                step_a = int((along - hits[k, rays.START]) * (STEPS / s.CELL)) & (STEPS - 1)
                put(rgb, y, x, packed, int(wall_light[int(hits[k, rays.LIGHT]), step_z, step_a]) + 1)
                depth[y, x] = far
