"""The view of one world: walls, floor, sky, then sprites and HUD.

Camera (reference A0): 90 degrees wide, height after the aspect ratio, eye at origin + view height, no roll. Every pixel's ray is
forward + u * right + v * up, so that "depth" is the distance along the view axis. Walls are vertical and the nearest one hides
what is behind it, so a table of horizontal rays (rays.py) tells which wall plane a pixel meets; the pixel then intersects that
plane exactly. Only silhouettes are quantised, to the table's sampling.
"""

import numpy as np

from flexlam_rl.envs.litelab import hud as overlay
from flexlam_rl.envs.litelab import rays, render_natlab, render_psychlab, sprites
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab.camera import camera
from flexlam_rl.envs.litelab.kernel import kernel

FAR = 65536.0  # depth of the sky


@kernel
def _surface(w):
    """(texture of the floor or -1 for each cell's own, height of the floor, height of the ceiling or a huge number)."""
    if w.family == s.WATERMAZE:
        return tx.WATER, 16.0, 1e9
    if w.family == s.DEFERRED:
        return tx.DEFERRED_FLOOR, 0.0, 80.0
    return -1, 1.0, 1e9


@kernel
def _floor_texture(w, texture, x, y):
    if texture >= 0:
        return texture
    col = min(max(int(x * 0.01), 0), w.cols - 1)
    row = w.rows - 1 - min(max(int(y * 0.01), 0), w.rows - 1)
    return tx.FLOORS + w.floor_texture[w.variation[row, col]]


@kernel
def _level(footprint):
    """Mip level whose texels are about as large as `footprint` level-0 texels."""
    return (footprint > 1.5) + (footprint > 3.0) + (footprint > 6.0) + (footprint > 12.0) + (footprint > 24.0)


@kernel
def _texel(look, texture, x, y, level):
    """Packed colour of a texture at x, y in units of the whole texture, which repeats."""
    size = tx.SIZE >> level
    i = int(x * size) & (size - 1)
    j = int(y * size) & (size - 1)
    return look.atlas[texture, tx.level_start(level) + j * size + i]


@kernel
def _put(rgb, y, x, packed, light):
    c = int(packed)
    rgb[y, x, 0] = min(255, ((c & 255) * light) >> 8)
    rgb[y, x, 1] = min(255, (((c >> 8) & 255) * light) >> 8)
    rgb[y, x, 2] = min(255, (((c >> 16) & 255) * light) >> 8)


@kernel
def sky_texel(look, sky, dx, dy, dz):
    """Packed colour of the sky in a direction of any length (a cube map without its lower face)."""
    ax = abs(dx)
    ay = abs(dy)
    flat = max(ax, ay)
    size = tx.SKY_SIZE
    if abs(dz) <= flat:
        inv = 1.0 / flat
        if ax >= ay:
            face = 0 if dx > 0.0 else 2
            across = -dy * inv if dx > 0.0 else dy * inv
        else:
            face = 1 if dy > 0.0 else 3
            across = dx * inv if dy > 0.0 else -dx * inv
        down = -dz * inv
    else:
        inv = 1.0 / dz
        face = 4
        across = dx * inv
        down = -dy * inv
    i = min(int((across + 1.0) * (0.5 * size)), size - 1)
    j = min(int((down + 1.0) * (0.5 * size)), size - 1)
    return look.sky[sky, face, j, i]


@kernel
def _wall_pixel(look, hit, along, z, floor, reach, rgb, y, x):
    """Colour of a wall point `along` the wall at height `z`; `reach` is the size of a pixel there in world units."""
    picture = int(hit[rays.PICTURE])
    if picture > 0:
        a = (along - hit[rays.CENTRE]) * hit[rays.RIGHT] * (1.0 / tx.PICTURE_WIDTH) + 0.5
        b = (hit[rays.PICTURE_Z] - z) * (1.0 / tx.PICTURE_WIDTH) + 0.5
        if a >= 0.0 and a < 1.0 and b >= 0.0 and b < 1.0:
            level = _level(reach * (tx.PICTURE_SIZE / tx.PICTURE_WIDTH)) if reach < 3.0 else 2
            level = min(level, tx.PICTURE_LEVELS - 1)
            size = tx.PICTURE_SIZE >> level
            texel = look.pictures[picture - 1, tx.picture_level_start(level) + int(b * size) * size + int(a * size)]
            if texel >> 24 != 0:
                _put(rgb, y, x, texel, 256)
                return
    texture = int(hit[rays.TEXTURE])
    scale = look.repeat[texture]
    level = _level(reach * scale * tx.SIZE)
    light = int(hit[rays.LIGHT])
    _put(rgb, y, x, _texel(look, texture, along * scale + 64.0, (hit[rays.TOP] - z) * scale + 64.0, level), light)


@kernel
def _draw_level(w, look, rgb, depth):
    """The view at pitch 0: a column meets one wall at one depth."""
    height, width = depth.shape
    ex, ey, ez, cos_yaw, sin_yaw, _, _ = camera(w)
    texture, floor, ceiling = _surface(w)
    index = np.empty(width, np.int32)
    hits = np.empty((width + 1, rays.HIT), np.float32)
    step = 2.0 / width
    rays.table(w, ex, ey, cos_yaw, sin_yaw, 0.5 * step - 1.0, step, False, width, index, hits)
    for x in range(width):
        hit = hits[index[x]]
        u = 0.5 * step - 1.0 + step * x
        dx = cos_yaw + u * sin_yaw
        dy = sin_yaw - u * cos_yaw
        far = 1.0 / (dx * hit[rays.QX] + dy * hit[rays.QY])
        along = hit[rays.T0] + far * (dx * hit[rays.TX] + dy * hit[rays.TY])
        top = min(hit[rays.TOP], ceiling)
        # rows: v = (height - 1 - 2 * y) / width
        first = int(np.ceil(0.5 * (height - 1 - width * (top - ez) / far)))
        last = int(np.ceil(0.5 * (height - 1 - width * (floor - ez) / far)))
        first = min(max(first, 0), height)
        last = min(max(last, first), height)
        if ceiling < 1e8:
            for y in range(first):
                v = (height - 1 - 2 * y) / width
                t = (ceiling - ez) / v
                px = ex + t * dx
                py = ey + t * dy
                scale = look.repeat[tx.DEFERRED_CEILING]
                level = _level(t * t / (ceiling - ez) * step * scale * tx.SIZE)
                _put(rgb, y, x, _texel(look, tx.DEFERRED_CEILING, px * scale + 64.0, 64.0 - py * scale, level), 256)
                depth[y, x] = t
        else:
            for y in range(first):
                _put(rgb, y, x, sky_texel(look, w.sky, dx, dy, (height - 1 - 2 * y) / width), 256)
                depth[y, x] = FAR
        reach = step * max(far, far * far / hit[rays.NEAR])
        for y in range(first, last):
            _wall_pixel(look, hit, along, ez + far * (height - 1 - 2 * y) / width, floor, reach, rgb, y, x)
            depth[y, x] = far
        for y in range(last, height):
            t = (ez - floor) * width / (2 * y + 1 - height)
            px = ex + t * dx
            py = ey + t * dy
            tex = _floor_texture(w, texture, px, py)
            scale = look.repeat[tex]
            level = _level(t * t / (ez - floor) * step * scale * tx.SIZE)
            _put(rgb, y, x, _texel(look, tex, px * scale + 64.0, 64.0 - py * scale, level), 256)
            depth[y, x] = t


@kernel
def _draw_pitched(w, look, rgb, depth):
    """The view at any pitch: row by row, with a table of rays that covers all azimuths of the picture."""
    height, width = depth.shape
    ex, ey, ez, cos_yaw, sin_yaw, cos_pitch, sin_pitch = camera(w)
    texture, floor, ceiling = _surface(w)
    step = 2.0 / width
    v_max = (height - 1) / width
    h_low = cos_pitch - v_max * abs(sin_pitch)
    h_high = cos_pitch + v_max * abs(sin_pitch)
    diamond = h_low < 0.25
    if diamond:
        n = 8 * width
        low = -2.0
        table_step = 4.0 / (n - 1)
    else:
        # two rays a pixel in the row where rays lie closest
        low = -1.0 / h_low
        n = int(2.0 * width * h_high / h_low) + 2
        table_step = 2.0 / h_low / (n - 1)
    per_step = 1.0 / table_step
    index = np.empty(n, np.int32)
    hits = np.empty((n + 1, rays.HIT), np.float32)
    rays.table(w, ex, ey, cos_yaw, sin_yaw, low, table_step, diamond, n, index, hits)
    for y in range(height):
        v = (height - 1 - 2 * y) / width
        h = cos_pitch + v * sin_pitch
        dz = v * cos_pitch - sin_pitch
        # the inverse depth at which this row meets floor and ceiling
        q_floor = dz / (floor - ez) if dz < 0.0 else 0.0
        q_ceiling = dz / (ceiling - ez) if dz > 0.0 else 0.0
        t_flat = 1.0 / max(q_floor, q_ceiling) if max(q_floor, q_ceiling) > 0.0 else FAR
        flat_reach = step * max(t_flat, t_flat * t_flat * cos_pitch / max(abs(ez - floor), 1.0))
        inv_h = 1.0 / h if not diamond else 0.0
        for x in range(width):
            u = 0.5 * step - 1.0 + step * x
            if diamond:
                a = u / (abs(h) + abs(u))
                if h < 0.0:
                    a = 2.0 - a if a >= 0.0 else -2.0 - a
            else:
                a = u * inv_h
            hit = hits[index[min(max(int((a - low) * per_step + 0.5), 0), n - 1)]]
            dx = h * cos_yaw + u * sin_yaw
            dy = h * sin_yaw - u * cos_yaw
            q = max(dx * hit[rays.QX] + dy * hit[rays.QY], 1e-6)
            if q < q_floor:
                px = ex + t_flat * dx
                py = ey + t_flat * dy
                tex = _floor_texture(w, texture, px, py)
                scale = look.repeat[tex]
                level = _level(flat_reach * scale * tx.SIZE)
                _put(rgb, y, x, _texel(look, tex, px * scale + 64.0, 64.0 - py * scale, level), 256)
                depth[y, x] = t_flat
            elif dz > 0.0 and q * (min(hit[rays.TOP], ceiling) - ez) < dz:
                if ceiling < 1e8:
                    scale = look.repeat[tx.DEFERRED_CEILING]
                    px = ex + t_flat * dx
                    py = ey + t_flat * dy
                    level = _level(flat_reach * scale * tx.SIZE)
                    _put(rgb, y, x, _texel(look, tx.DEFERRED_CEILING, px * scale + 64.0, 64.0 - py * scale, level), 256)
                    depth[y, x] = t_flat
                else:
                    _put(rgb, y, x, sky_texel(look, w.sky, dx, dy, dz), 256)
                    depth[y, x] = FAR
            else:
                far = 1.0 / q
                along = hit[rays.T0] + far * (dx * hit[rays.TX] + dy * hit[rays.TY])
                reach = step * max(far, far * far * abs(h) / hit[rays.NEAR])
                _wall_pixel(look, hit, along, ez + far * dz, floor, reach, rgb, y, x)
                depth[y, x] = far


@kernel
def draw(worlds, i, look, rgb, depth, hud):
    """Draw world `i` for its player.

    `rgb` is (H, W, 3) uint8, `depth` (H, W) float32 (world units along the view axis, 65536 for the sky); both are overwritten.
    `hud` is 0 for none (the crosshair stays, as with DMLab's minimalUI), 1 for head icon and crosshair (reducedUI), 2 for all.
    """
    w = worlds[i]
    if w.family == s.NATLAB:
        render_natlab.draw(w, look, rgb, depth)
    elif w.family == s.PSYCHLAB:
        render_psychlab.draw(w, look, rgb, depth)
    elif w.players[0].pitch == 0:
        _draw_level(w, look, rgb, depth)
    else:
        _draw_pitched(w, look, rgb, depth)
    sprites.draw_sprites(w, look, rgb, depth)
    overlay.draw_hud(w, look, rgb, hud)
