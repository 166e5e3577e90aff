"""Items and opponents, drawn over the walls with the depth buffer. Shots and other lights are in effects.py.

A sprite is an upright plane through its object's axis that faces the eye. Each pixel's ray meets the plane exactly, so
size and place are correct at any pitch and distance. The view of the model depends on the position of the eye and the
object's yaw. Items bob by 8 units in about 1.2 s and turn once in 1.024 s of engine time, as in the recordings.
"""

import numpy as np

from flexlam_rl.envs.litelab import effects, patterns, platform, shapes
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.camera import TURN, camera
from flexlam_rl.envs.litelab.kernel import kernel

NEAR = 2.0
ITEM_LIGHT = (150, 256, 210)  # light of items, 0 to 256, under natlab's skies: night, day, dawn
BASE = -4.125  # lowest point of a bobbing item relative to its origin, at the bottom of its movement
GROUND = -12.0  # the same for an item that stands on the ground without bobbing


@kernel
def draw_one(look, model, view, pattern, colors, x, y, z, scale, light, eye, rgb, depth):
    """Draw view number `view` (of shapes.ANGLES) of a model that stands at (x, y, z).

    `eye` is (x, y, z, cos yaw, sin yaw, cos pitch, sin pitch). `colors`, (8, 3) uint8, has the color of each part,
    except that part 0 has the pattern's two colors in rows 0 and 1. `light` is 0 to 256.
    """
    height, width = depth.shape
    half = look.sprites.box[model, 0] * scale
    low = z + look.sprites.box[model, 1] * scale - eye[2]
    high = z + look.sprites.box[model, 2] * scale - eye[2]
    ox, oy = x - eye[0], y - eye[1]
    ahead = ox * eye[3] + oy * eye[4]
    cos_pitch, sin_pitch = eye[5], eye[6]
    away = np.sqrt(ox * ox + oy * oy)
    if away < 1.0:
        return
    nx, ny = ox / away, oy / away
    # the sprite's corners on the screen
    left, right, top, bottom, clipped = 1e9, -1e9, 1e9, -1e9, False
    for corner in range(4):
        across = half if corner & 1 else -half
        dz = high if corner & 2 else low
        cx, cy = ox + ny * across, oy - nx * across
        flat = cx * eye[3] + cy * eye[4]
        forward = cos_pitch * flat - sin_pitch * dz
        if forward < NEAR:
            clipped = True
            continue
        inv = 0.5 * width / forward
        px = 0.5 * width + (cx * eye[4] - cy * eye[3]) * inv
        py = 0.5 * height - (sin_pitch * flat + cos_pitch * dz) * inv
        left, right, top, bottom = min(left, px), max(right, px), min(top, py), max(bottom, py)
    if left > right:
        return
    if clipped:
        if ahead < -half and sin_pitch == 0.0:
            return
        left, right, top, bottom = 0.0, width, 0.0, height
    x0, x1 = max(0, int(np.ceil(left - 0.5))), min(width, int(np.ceil(right - 0.5)))
    y0, y1 = max(0, int(np.ceil(top - 0.5))), min(height, int(np.ceil(bottom - 0.5)))
    if x0 >= x1 or y0 >= y1:
        return
    step = 2.0 / width
    facing_n = eye[3] * nx + eye[4] * ny
    facing_s = eye[3] * ny - eye[4] * nx
    per_side = 0.5 * shapes.SIZE / half
    per_z = shapes.SIZE / (high - low)
    # size of a pixel in texels of the pattern
    footprint = step * away * 2.0 / scale
    level = 0
    while footprint > 1.4 and level < patterns.LEVELS - 1:
        footprint *= 0.5
        level += 1
    start = patterns.tile_start(level)
    tile = patterns.TILE >> level
    per_place = 1.0 / (2 << level)
    for py in range(y0, y1):
        v = (height - 1 - 2 * py) * (1.0 / width)
        flat = cos_pitch + v * sin_pitch
        dz = v * cos_pitch - sin_pitch
        for px in range(x0, x1):
            u = 0.5 * step - 1.0 + step * px
            towards = flat * facing_n + u * (eye[4] * nx - eye[3] * ny)
            if towards <= 1e-6:
                continue
            t = away / towards
            if t >= depth[py, px]:
                continue
            side = t * (flat * facing_s + u * facing_n)
            i = int((side + half) * per_side)
            j = int((high - t * dz) * per_z)
            if i < 0 or i >= shapes.SIZE or j < 0 or j >= shapes.SIZE or side < -half or t * dz > high:
                continue
            texel = look.sprites.texels[model, view, j, i]
            shade = int(texel & np.uint32(255))
            if shade == 0:
                continue
            shade = (shade * light) >> 8
            depth[py, px] = t
            part = int((texel >> np.uint32(8)) & np.uint32(7))
            if part > 0:
                for c in range(3):
                    rgb[py, px, c] = (int(colors[part, c]) * shade) >> 8
            else:
                a = int(float((texel >> np.uint32(12)) & np.uint32(1023)) * per_place) & (tile - 1)
                b = int(float((texel >> np.uint32(22)) & np.uint32(1023)) * per_place) & (tile - 1)
                second = int(look.patterns[pattern, start + b * tile + a])
                for c in range(3):
                    one, two = int(colors[0, c]), int(colors[1, c])
                    rgb[py, px, c] = ((one * (255 - second) + two * second) // 255 * shade) >> 8


@kernel
def view_of(ox, oy, yaw):
    """Number of the view of an object at (ox, oy) relative to the eye that is turned by `yaw` radians."""
    angle = np.arctan2(-oy, -ox) - yaw
    return int(np.floor(angle * (shapes.ANGLES / (2.0 * np.pi)) + 0.5)) & (shapes.ANGLES - 1)


@kernel
def hue_color(hue, out):
    """Write the bright color of a hue in degrees to `out`, (3,) uint8."""
    h = (hue % 360.0) / 60.0
    for c in range(3):
        # distance of the hue from the one at which this channel is full, on a circle of six
        d = abs((h - 2.0 * c + 3.0) % 6.0 - 3.0)
        out[c] = int(55.0 + 200.0 * min(1.0, max(0.0, 2.0 - d)))


@kernel
def _draw_items(w, look, eye, colors, rgb, depth):
    light = ITEM_LIGHT[w.sky] if w.family == s.NATLAB else 256
    for k in range(w.item_count):
        it = w.items[k]
        if it.active == 0:
            continue
        ox, oy = it.pos[0] - eye[0], it.pos[1] - eye[1]
        # skip items behind the eye, or outside the 90 degrees of view by more than the largest object
        ahead = ox * eye[3] + oy * eye[4]
        if eye[6] == 0.0 and (ahead < -80.0 or abs(ox * eye[4] - oy * eye[3]) > ahead + 160.0):
            continue
        model = int(it.look)
        z = it.pos[2] + GROUND
        yaw = 0.0
        if it.bob == 1:
            z = it.pos[2] + BASE + 4.0 + 4.0 * np.cos((w.map_ms + 1000) * (0.005 + 0.00001 * k))
            yaw = (w.map_ms & 1023) * (2.0 * np.pi / 1024.0)
        if model < s.SHAPES:
            colors[:] = look.sprites.palette[model]
        else:
            colors[0] = it.color[0]
            colors[1] = it.color[1]
        draw_one(
            look,
            model,
            view_of(ox, oy, yaw),
            int(it.pattern),
            colors,
            it.pos[0],
            it.pos[1],
            z,
            it.scale,
            light,
            eye,
            rgb,
            depth,
        )


@kernel
def _draw_bots(w, look, eye, colors, rgb, depth):
    for k in range(1, w.player_count):
        p = w.players[k]
        if p.alive == 0:
            continue
        model = shapes.BOT_STAND
        if p.crouched == 1:
            model = shapes.BOT_CROUCH
        elif p.vel[0] * p.vel[0] + p.vel[1] * p.vel[1] > 2500.0:
            model = shapes.BOT_WALK_A + ((w.map_ms >> 8) & 1)
        for part in range(3):
            hue_color(w.bot_hue + 120.0 * part, colors[1 + part])
        view = view_of(p.pos[0] - eye[0], p.pos[1] - eye[1], p.yaw * TURN)
        draw_one(look, model, view, s.SOLID, colors, p.pos[0], p.pos[1], p.pos[2] - 24.0, 1.0, 256, eye, rgb, depth)


@kernel
def draw_sprites(w, look, rgb, depth):
    """Draw into rgb (H, W, 3) uint8 and depth (H, W) float32, the distance along the view axis."""
    eye = camera(w)
    colors = np.empty((8, 3), np.uint8)
    _draw_items(w, look, eye, colors, rgb, depth)
    if w.player_count > 1:
        _draw_bots(w, look, eye, colors, rgb, depth)
    if w.family == s.WATERMAZE and w.platform_up == 1:
        platform.draw_platform(w, eye, rgb, depth)
    effects.draw_effects(w, eye, rgb, depth)
