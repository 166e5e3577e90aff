"""Walls, floor and sky at any pitch: row by row, with a table of rays over all azimuths that the picture shows."""

import numpy as np

from flexlam_rl.envs.litelab import rays
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.spans import cell_floor_span, plain_span, sky_span, wall_span
from flexlam_rl.envs.litelab.texel import mip_level


@kernel
def _split(q, aq, bound, x0, x1):
    """Columns (a, b) of x0 <= x < x1 where q + x * aq < bound: one run at either end."""
    low = q + x0 * aq < bound
    high = q + (x1 - 1) * aq < bound
    if low and high:
        return x0, x1
    if not low and not high:
        return x0, x0
    middle = min(max(int(np.ceil((bound - q) / aq)), x0), x1)
    return (x0, middle) if low else (middle, x1)


@kernel
def draw_pitched(w, eye, atlas, repeat, pictures, sky, floor_light, wall_light, surface, rgb, depth):
    """Draw the view at any pitch; `eye` is `camera.camera`'s tuple, `surface` is `render.surface`'s."""
    height, width = depth.shape
    ex, ey, ez, cos_yaw, sin_yaw, cos_pitch, sin_pitch = eye
    floor_texture, floor, ceiling_texture, ceiling, light, sky_number = surface
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
    index = np.empty(n, np.int32)
    hits = np.empty((n + 1, rays.HIT))
    rays.table(w, ex, ey, cos_yaw, sin_yaw, low, ray_step, diamond, n, index, hits)
    ends = np.empty(n)
    met = np.empty(n, np.int32)
    rear_ends = np.empty(n + 1)
    rear_met = np.empty(n + 1, np.int32)
    front, rear = rays.runs(low, ray_step, diamond, n, index, ends, met, rear_ends, rear_met)
    flat_start = np.empty(width, np.int32)
    flat_end = np.empty(width, np.int32)
    per_step = 1.0 / step
    ground = w.ground
    ax = step * sin_yaw
    ay = -step * cos_yaw
    for y in range(height):
        v = (height - 1 - 2 * y) / width
        h = cos_pitch + v * sin_pitch
        dz = v * cos_pitch - sin_pitch
        dx = h * cos_yaw + (0.5 * step - 1.0) * sin_yaw
        dy = h * sin_yaw - (0.5 * step - 1.0) * cos_yaw
        # floor or ceiling lies at one depth in the whole row; it is seen where the wall's inverse depth is smaller
        flat = floor if dz < 0.0 else ceiling
        texture = floor_texture if dz < 0.0 else ceiling_texture
        q_flat = dz / (flat - ez)
        t = 1.0 / max(q_flat, 1e-9)
        footprint = step * max(t, t * t * cos_pitch / max(abs(ez - flat), 1.0))
        scale = 1.0 / s.CELL if texture < 0 else float(repeat[texture])
        level = mip_level(footprint * scale * tx.SIZE)
        lit = light if dz < 0.0 else 256
        x1 = 0
        flats = 0
        ahead = h >= 0.0
        count = front if ahead else rear
        for run in range(count):
            x0 = x1
            slope = ends[run] if ahead else rear_ends[run]
            x1 = width if run == count - 1 else max(int(np.ceil(min((slope * abs(h) + 1.0) * per_step - 0.5, float(width)))), x0)
            if x0 == x1:
                continue
            k = met[run] if ahead else rear_met[run]
            q = dx * hits[k, rays.QX] + dy * hits[k, rays.QY]
            aq = ax * hits[k, rays.QX] + ay * hits[k, rays.QY]
            if dz < 0.0 or ceiling_texture >= 0:
                bound = q_flat
            else:
                # sky is seen where the wall's top lies below the row's ray
                rise = hits[k, rays.TOP] - ez
                bound = dz / rise if rise > 0.0 else 1e30
            a, b = _split(q, aq, bound, x0, x1)
            if a < b:
                if flats > 0 and flat_end[flats - 1] == a:
                    flat_end[flats - 1] = b
                else:
                    flat_start[flats] = a
                    flat_end[flats] = b
                    flats += 1
            # the rest is wall
            if a == x0:
                a = b
                b = x1
            else:
                b = a
                a = x0
            if a < b:
                along = dx * hits[k, rays.TX] + dy * hits[k, rays.TY]
                a_along = ax * hits[k, rays.TX] + ay * hits[k, rays.TY]
                reach = step * abs(h) / hits[k, rays.NEAR]
                wall_span(hits, k, atlas, repeat, pictures, wall_light, ez, dz, q, aq, along, a_along, reach, y, a, b, rgb, depth)
        px, py = ex + t * dx, ey + t * dy
        for j in range(flats):
            a, b = flat_start[j], flat_end[j]
            if dz >= 0.0 and ceiling_texture < 0:
                sky_span(sky, sky_number, ex, ey, ez, dx, dy, ax, ay, dz, y, a, b, rgb, depth)
            elif texture < 0:
                cell_floor_span(ground, w.rows, atlas, floor_light, level, px, py, t * ax, t * ay, t, y, a, b, rgb, depth)
            else:
                plain_span(atlas[texture], scale, lit, level, px, py, t * ax, t * ay, t, y, a, b, rgb, depth)
