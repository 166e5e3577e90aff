"""The view of natlab: a height field under a sky, with plants and rocks.

For every azimuth, the ground is sampled outwards once. Only ground that rises above everything nearer is visible, so a
pixel's ground is found by its slope in the running maximum of the samples' slopes. Beyond the field's border, the sky
is visible also below the horizon, as in the recordings. Everything is drawn by code, without the real maps' models and
textures.
"""

import numpy as np

from flexlam_rl.envs.litelab import foliage, shapes, terrain
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.camera import camera
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.sprites import draw_one, view_of

SKY_DEPTH = 65536.0
FIRST_STEP = 20.0  # first distance between samples of the ground; it grows outwards
GROWTH = 0.08
SAMPLES = 64
HIGHEST = 1.2  # slope above which no ground is visible: steeper than any hill of the terrain
GRADIENT = 64  # number of colors of a sky from straight down to straight up
TILE = 64  # side of the tile of ground patches, 8 world units each
TOO_SMALL = 0.6  # height in pixels below which plants are not drawn

# Brightness of the sun's light (0 to 256) and its slope from west and south, by w.sky: night, day, dawn.
LIGHT = (72, 256, 168)
SUN = ((0.0, 0.0), (0.5, 0.35), (0.9, -0.3))
PLANT_LIGHT = (40, 230, 120)
# Color of the ground by daylight; each map has one.
SOILS = ((166, 140, 104), (150, 138, 84), (172, 122, 88))
# Sky colors at slopes z / (1 + |z|) of the view, from the zenith down: measured for night, chosen for day and dawn.
_AT = (0.5, 0.40, 0.30, 0.17, 0.06, 0.0, -0.09, -0.17, -0.25, -0.33, -0.41, -0.6)
_NIGHT = ((3, 20, 30), (6, 30, 44), (10, 44, 64), (17, 60, 86), (28, 72, 95), (38, 76, 95), (52, 81, 92), (78, 90, 85), (115, 110, 85),
          (158, 141, 102), (222, 195, 136), (255, 222, 150))  # fmt: skip
_DAY = ((58, 120, 205), (74, 138, 215), (96, 158, 224), (130, 186, 236), (166, 208, 244), (190, 220, 246), (200, 222, 240), (206, 220, 232),
        (206, 216, 224), (204, 212, 218), (204, 210, 214), (204, 210, 214))  # fmt: skip
_DAWN = ((38, 52, 96), (62, 68, 112), (98, 84, 122), (156, 104, 116), (214, 132, 100), (238, 156, 98), (248, 176, 104), (250, 190, 118),
         (250, 200, 132), (250, 206, 144), (250, 210, 150), (250, 210, 150))  # fmt: skip


def skies() -> np.ndarray:
    """Make the colors of the three skies, (3, GRADIENT, 3) uint8, from z / (1 + |z|) = -1 to 1."""
    at = (np.arange(GRADIENT) + 0.5) * 2 / GRADIENT - 1
    rows = [[np.interp(at, _AT[::-1], np.array(colors)[::-1, c]) for c in range(3)] for colors in (_NIGHT, _DAY, _DAWN)]
    return np.floor(np.array(rows).transpose(0, 2, 1) + 0.5).astype(np.uint8)


def patches() -> np.ndarray:
    """Make the tile of the ground's brightness, (TILE, TILE) uint8 around 128, which repeats."""
    rng = np.random.default_rng(11)
    total = np.zeros((TILE, TILE))
    for cells, height in ((8, 12.0), (16, 9.0), (32, 7.0), (64, 5.0)):
        lattice = np.kron(rng.uniform(-1, 1, (cells, cells)), np.ones((TILE // cells, TILE // cells)))
        for axis in (0, 1):
            lattice = 0.25 * np.roll(lattice, 1, axis) + 0.5 * lattice + 0.25 * np.roll(lattice, -1, axis)
        total += height * lattice
    return np.clip(128 + total, 0, 255).astype(np.uint8)


@kernel
def _profile(h, ex, ey, ez, dx, dy, sun_x, sun_y, steps, z, top, lit):
    """Sample the ground outwards from the eye in a unit direction, up to the field's border.

    For each sample, this sets its height (`z`), the running maximum of the slope (`top`), and the light between it and
    the sample before (`lit`). Returns the number of samples and the distance of the last one, which is at the border;
    distances of the others are in `steps`.
    """
    border = 4.0 * terrain.SIZE
    if abs(dx) > 1e-9:
        border = min(border, ((terrain.SIZE if dx > 0.0 else 0.0) - ex) / dx)
    if abs(dy) > 1e-9:
        border = min(border, ((terrain.SIZE if dy > 0.0 else 0.0) - ey) / dy)
    per_cell = 1.0 / terrain.SPACING
    most = s.TERRAIN_POINTS - 2
    highest = -1e9
    for k in range(SAMPLES):
        at_border = steps[k] >= border or k == SAMPLES - 1
        d = border if at_border else steps[k]
        # as terrain.height
        x = (ex + d * dx) * per_cell
        y = (ey + d * dy) * per_cell
        i, j = min(max(int(x), 0), most), min(max(int(y), 0), most)
        u, v = x - i, y - j
        right, up = float(h[j, i + 1]), float(h[j + 1, i])
        if u + v <= 1.0:
            base = float(h[j, i])
            gx, gy = right - base, up - base
            height = base + gx * u + gy * v
        else:
            base = float(h[j + 1, i + 1])
            gx, gy = base - up, base - right
            height = base - gx * (1.0 - u) - gy * (1.0 - v)
        if k > 0:
            highest = max(highest, (height - ez) / d)
        z[k] = height
        top[k] = highest
        lit[k] = min(max(1.0 - 0.02 * (gx * sun_x + gy * sun_y), 0.45), 1.35)
        if at_border:
            return k + 1, border
    return SAMPLES, border


@kernel
def _put_ground(patches, x, y, soil, lit, fade, rgb, py, px):
    """Color the pixel of a ground point."""
    patch = float(patches[int(y * 0.125) & (TILE - 1), int(x * 0.125) & (TILE - 1)]) - 128.0
    tone = lit * (1.0 + patch * fade)
    rgb[py, px, 0] = min(255, int(soil[0] * tone))
    rgb[py, px, 1] = min(255, int(soil[1] * tone))
    rgb[py, px, 2] = min(255, int(soil[2] * tone))


@kernel
def _put_sky(sky, slope, rgb, py, px):
    """Color the pixel of a ray that rises by `slope` per unit of horizontal distance."""
    row = min(int((slope / (1.0 + abs(slope)) + 1.0) * (0.5 * GRADIENT)), GRADIENT - 1)
    rgb[py, px, 0] = sky[row, 0]
    rgb[py, px, 1] = sky[row, 1]
    rgb[py, px, 2] = sky[row, 2]


@kernel
def _draw_level(heights, patches, sky, soil, sun, steps, fade, eye, rgb, depth):
    """Draw ground and sky at pitch 0, where a column is one azimuth and its ground ends at one row."""
    height, width = depth.shape
    ex, ey, ez, cos_yaw, sin_yaw, _, _ = eye
    z = np.empty(SAMPLES, np.float32)
    top = np.empty(SAMPLES, np.float32)
    lit = np.empty(SAMPLES, np.float32)
    for px in range(width):
        u = (2 * px + 1 - width) / width
        inverse = 1.0 / np.sqrt(1.0 + u * u)
        dx = cos_yaw + u * sin_yaw
        dy = sin_yaw - u * cos_yaw
        last, border = _profile(heights, ex, ey, ez, dx * inverse, dy * inverse, sun[0], sun[1], steps, z, top, lit)
        step = 2.0 * inverse / width
        slope = (1 - height) * inverse / width
        py = height - 1
        for k in range(1, last):
            if top[k] < slope:
                continue
            d0 = steps[k - 1]
            d1 = steps[k] if k < last - 1 else border
            z0, z1 = z[k - 1] - ez, z[k] - ez
            while py >= 0 and slope <= top[k]:
                # the ray meets the line between samples k - 1 and k
                g0 = z0 - slope * d0
                t = (d0 + (g0 / (g0 - z1 + slope * d1) if g0 < 0.0 else 0.0) * (d1 - d0)) * inverse
                depth[py, px] = t
                _put_ground(patches, ex + t * dx, ey + t * dy, soil, lit[k], fade[k], rgb, py, px)
                py -= 1
                slope += step
        while py >= 0:
            _put_sky(sky, slope, rgb, py, px)
            depth[py, px] = SKY_DEPTH
            py -= 1
            slope += step


@kernel
def _draw_pitched(heights, patches, sky, soil, sun, steps, fade, eye, rgb, depth):
    """Draw ground and sky at any pitch, with profiles in all directions, as dense as at the sides of a level picture.
    A profile is sampled when a pixel first needs it.
    """
    height, width = depth.shape
    ex, ey, ez, cos_yaw, sin_yaw, cos_pitch, sin_pitch = eye
    n = 4 * width
    z = np.empty((n, SAMPLES), np.float32)
    top = np.empty((n, SAMPLES), np.float32)
    lit = np.empty((n, SAMPLES), np.float32)
    count = np.zeros(n, np.int64)
    border = np.empty(n)
    per_pixel = 1.0 / width
    for px in range(width):
        u = (2 * px + 1 - width) * per_pixel
        k = 1
        for py in range(height - 1, -1, -1):
            v = (height - 1 - 2 * py) * per_pixel
            dz = v * cos_pitch - sin_pitch
            flat = cos_pitch + v * sin_pitch
            inverse = 1.0 / np.sqrt(flat * flat + u * u)
            # diamond angle: -2..2 for a full turn
            turn = u / (abs(flat) + abs(u))
            if flat < 0.0:
                turn = 2.0 - turn if turn >= 0.0 else -2.0 - turn
            a = min(int((turn + 2.0) * width), n - 1)
            dx = flat * cos_yaw + u * sin_yaw
            dy = flat * sin_yaw - u * cos_yaw
            slope = dz * inverse
            if count[a] == 0:
                if slope > HIGHEST:
                    # the ray goes above all ground, so no profile is needed
                    _put_sky(sky, slope, rgb, py, px)
                    depth[py, px] = SKY_DEPTH
                    continue
                # the first pixel that needs this profile determines its direction
                count[a], border[a] = _profile(
                    heights, ex, ey, ez, dx * inverse, dy * inverse, sun[0], sun[1], steps, z[a], top[a], lit[a]
                )
            last = count[a]
            k = min(k, last)
            while k < last and top[a, k] < slope:
                k += 1
            while k > 1 and top[a, k - 1] >= slope:
                k -= 1
            if k >= last:
                _put_sky(sky, slope, rgb, py, px)
                depth[py, px] = SKY_DEPTH
                continue
            d0 = steps[k - 1]
            d1 = steps[k] if k < last - 1 else border[a]
            g0 = z[a, k - 1] - ez - slope * d0
            g1 = z[a, k] - ez - slope * d1
            t = (d0 + (g0 / (g0 - g1) if g0 < 0.0 else 0.0) * (d1 - d0)) * inverse
            depth[py, px] = t
            _put_ground(patches, ex + t * dx, ey + t * dy, soil, lit[a, k], fade[k], rgb, py, px)


@kernel
def _draw_ground(w, natlab, eye, rgb, depth):
    steps = np.empty(SAMPLES)
    fade = np.empty(SAMPLES)  # contrast of the ground's patches, which decreases with the distance
    steps[0] = 0.0
    fade[0] = 1.0 / 128.0
    for k in range(1, SAMPLES):
        steps[k] = steps[k - 1] + max(FIRST_STEP, GROWTH * steps[k - 1])
        fade[k] = min(1.0, 250.0 / steps[k]) / 128.0
    soil = SOILS[int(w.terrain_seed >> np.uint64(40)) % len(SOILS)]
    light = LIGHT[w.sky] * (1.0 / 256.0)
    color = (soil[0] * light, soil[1] * light, soil[2] * light)
    sky = natlab.skies[w.sky]
    if eye[6] == 0.0:
        _draw_level(w.terrain_height, natlab.patches, sky, color, SUN[w.sky], steps, fade, eye, rgb, depth)
    else:
        _draw_pitched(w.terrain_height, natlab.patches, sky, color, SUN[w.sky], steps, fade, eye, rgb, depth)


@kernel
def _draw_plants(w, look, eye, rgb, depth):
    width = depth.shape[1]
    for k in range(w.plant_count):
        p = w.plants[k]
        ox, oy = p.pos[0] - eye[0], p.pos[1] - eye[1]
        ahead = ox * eye[3] + oy * eye[4]
        if abs(eye[6]) < 0.5 and (ahead < -100.0 or abs(ox * eye[4] - oy * eye[3]) > 1.3 * ahead + 200.0):
            continue
        if p.height * 0.5 * width < TOO_SMALL * np.sqrt(ox * ox + oy * oy):
            continue
        kind, scale = foliage.plant_model(p)
        model = shapes.PLANTS + kind
        colors = look.sprites.palette[model]
        view = view_of(ox, oy, p.turn)
        draw_one(
            look, model, view, s.SOLID, colors, p.pos[0], p.pos[1], p.pos[2], scale, PLANT_LIGHT[w.sky], eye, rgb, depth
        )


@kernel
def draw(w, look, rgb, depth):
    """Draw into rgb (H, W, 3) uint8 and depth (H, W) float32, the distance along the view axis."""
    eye = camera(w)
    _draw_ground(w, look.natlab, eye, rgb, depth)
    _draw_plants(w, look, eye, rgb, depth)
