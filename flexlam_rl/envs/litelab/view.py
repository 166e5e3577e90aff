"""Walls, floor and sky of every level that has walls.

The rays of a picture row's pixels have the same elevation. A table over azimuth (rays.py) has the wall plane that each
ray meets; its exact depth then tells whether wall, floor or sky is visible. Only silhouettes are quantized, to the
table's sampling.
"""

import numpy as np

from flexlam_rl.envs.litelab import rays, rows, shade
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab.kernel import kernel


@kernel
def draw_view(w, eye, look, surface, rgb, depth):
    """Draw the view; `eye` is the result of `camera.camera`, `surface` of `render.surface`."""
    height, width = depth.shape
    ex, ey, ez, cos_yaw, sin_yaw, cos_pitch, sin_pitch = eye
    floor_texture, floor, ceiling_texture, ceiling, lamp, sky_number = surface
    texels = look.texels
    step = 2.0 / width
    v_max = (height - 1) / width
    h_low = cos_pitch - v_max * abs(sin_pitch)
    h_high = cos_pitch + v_max * abs(sin_pitch)
    diamond = h_low < 0.3
    if diamond:
        n = 8 * width
        low = -2.0
        ray_step = 4.0 / (n - 1)
    elif sin_pitch == 0.0:
        n = width
        low = 0.5 * step - 1.0
        ray_step = step
    else:
        # two rays per pixel in the row whose rays are closest together
        low = -1.0 / h_low
        n = int(2.0 * width * h_high / h_low) + 2
        ray_step = 2.0 / h_low / (n - 1)
    index = np.empty(n, np.int32)
    hits = np.empty((n + 1, rays.HIT))
    count = rays.table(w, ex, ey, cos_yaw, sin_yaw, low, ray_step, diamond, n, index, hits)
    walls = np.empty((rows.WALL, count), np.float32)
    rows.prepare_walls(hits, count, look.repeat, ez, step, walls)
    hung = False
    alike = True  # if all walls have the same height and repeat, drawing them costs a quarter less
    for k in range(count):
        hung |= hits[k, rays.PICTURE] > 0.0
        alike &= walls[rows.V0, k] == walls[rows.V0, 0] and walls[rows.PER_UNIT, k] == walls[rows.PER_UNIT, 0]
    starts = np.empty(tx.LEVELS, np.int32)
    for k in range(tx.LEVELS):
        starts[k] = tx.LEVEL_START[k]
    u = np.empty(width, np.float32)
    for x in range(width):
        u[x] = (x + 0.5) * step - 1.0
    met = np.empty(width, np.int32)
    near = np.empty(width, np.float32)
    flat = np.empty(width, np.int32)
    place = np.empty(width, np.int32)
    light = np.empty(width, np.int32)
    packed = np.empty(width, np.uint32)
    bytes_of = rgb.reshape((height, 3 * width))
    open_sky = ceiling_texture < 0
    for y in range(height):
        v = (height - 1 - 2 * y) / width
        h = cos_pitch + v * sin_pitch
        dz = v * cos_pitch - sin_pitch
        hx = h * cos_yaw
        hy = h * sin_yaw
        # floor or ceiling has the same depth in the whole row
        q_flat = dz / ((floor if dz < 0.0 else ceiling) - ez)
        over = dz >= 0.0 and open_sky
        rows.azimuths(u, h, low, 1.0 / ray_step, n - 1, diamond, index, met)
        flats = rows.depths(u, met, walls, hx, hy, sin_yaw, -cos_yaw, over, dz if over else q_flat, near, flat)
        if flats < width:
            rows.wall_row(
                alike, u, met, near, walls, hx, hy, sin_yaw, -cos_yaw, dz, h, step, starts, place, light, depth[y]
            )
            if hung:
                rows.picture_row(
                    u,
                    met,
                    near,
                    flat,
                    walls,
                    hits,
                    look.atlas.size + look.sky.size,
                    ez,
                    hx,
                    hy,
                    sin_yaw,
                    -cos_yaw,
                    dz,
                    h,
                    step,
                    place,
                )
        if flats > 0 and over:
            base = look.atlas.size + sky_number * 5 * tx.SKY_SIZE * tx.SKY_SIZE
            rows.sky_row(base, ex, ey, ez, u, hx, hy, sin_yaw, -cos_yaw, dz, flat, place, light, depth[y])
        elif flats > 0:
            texture = floor_texture if dz < 0.0 else ceiling_texture
            t = 1.0 / max(q_flat, 1e-9)
            repeats = 1.0 / s.CELL if texture < 0 else float(look.repeat[texture])
            footprint = step * max(t, t * t * cos_pitch / max(abs(ez - (floor if dz < 0.0 else ceiling)), 1.0))
            level = int(rows.mip_level(np.float32(footprint * repeats * tx.SIZE)))
            scale = repeats * rows.ONE
            px = (ex + t * (hx + (0.5 * step - 1.0) * sin_yaw)) * scale
            py = (ey + t * (hy - (0.5 * step - 1.0) * cos_yaw)) * scale
            ax = t * step * sin_yaw * scale
            ay = t * step * cos_yaw * scale
            if texture < 0:
                rows.cell_floor_row(
                    w.ground, px, w.rows * rows.ONE - py, ax, ay, t, level, flat, place, light, depth[y]
                )
            else:
                lit = shade.EVEN + (lamp if dz < 0.0 else 256) - 1
                rows.plain_row(texture * tx.TEXELS, lit, px, -py, ax, ay, t, level, flat, place, light, depth[y])
        rows.colors(texels, look.lights, place, light, packed)
        rows.unpack(packed, bytes_of[y])
