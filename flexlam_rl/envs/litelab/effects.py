"""Lights and shadows drawn over a finished picture: spawn rings, shadows of opponents, shots, rockets and their bursts.

All are transparent, so they read the depth buffer but never write it. Times are in engine milliseconds.
"""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.weapons import BURST_MS

SPAWN_MS = 250  # the rings around a player who has just arrived
# A ring's slope above the eye's horizon, half width, first and last ms, and whether it is dashed; measured on the first
# frames of the recordings.
RINGS = (
    (0.69, 0.055, 0, 40, 0), (-0.70, 0.05, 0, 110, 0), (0.33, 0.02, 40, 170, 1), (-0.62, 0.045, 110, 170, 0), (0.48, 0.05, 170, 250, 0),
    (-0.25, 0.015, 170, 250, 0),
)  # fmt: skip

SHADOW_RADIUS = 15.0
SHADOW_EDGE = 9.0  # width over which the edge fades
SHADOW_REACH = 128.0  # a shadow fades with the height above the floor
GUN = (14.0, 8.0, -9.0)  # where the player's own shots seem to start, relative to the eye: forward, right, up

CYAN = (110.0, 230.0, 215.0)
FIRE = (255.0, 150.0, 50.0)
WHITE = (255.0, 245.0, 200.0)
BOLT = (120.0, 170.0, 255.0)
RAIL = (90.0, 255.0, 150.0)


@kernel
def _add(rgb, y, x, color, amount):
    for c in range(3):
        rgb[y, x, c] = min(255, int(rgb[y, x, c]) + int(color[c] * amount))


@kernel
def _screen(eye, height, width, x, y, z):
    """(column, row, depth) of a point in the picture; depth is 0 or less behind the eye."""
    ox, oy, oz = x - eye[0], y - eye[1], z - eye[2]
    flat = ox * eye[3] + oy * eye[4]
    forward = eye[5] * flat - eye[6] * oz
    inv = 0.5 * width / max(forward, 1e-3)
    return 0.5 * width + (ox * eye[4] - oy * eye[3]) * inv, 0.5 * height - (eye[6] * flat + eye[5] * oz) * inv, forward


@kernel
def _glow(eye, x, y, z, radius, inner, color, amount, rgb, depth):
    """Draw a round light: a disc if `inner` is 0, else a ring between inner * radius and radius."""
    height, width = depth.shape
    cx, cy, far = _screen(eye, height, width, x, y, z)
    if far < 4.0:
        return
    size = radius * 0.5 * width / far
    x0, x1 = max(0, int(cx - size)), min(width, int(cx + size) + 1)
    y0, y1 = max(0, int(cy - size)), min(height, int(cy + size) + 1)
    for py in range(y0, y1):
        for px in range(x0, x1):
            dx, dy = px + 0.5 - cx, py + 0.5 - cy
            r = np.sqrt(dx * dx + dy * dy) / max(size, 0.6)
            if r >= 1.0 or far > depth[py, px] + 0.5 * radius:
                continue
            share = 1.0 - r if inner <= 0.0 else max(0.0, 1.0 - abs(2.0 * r - 1.0 - inner) / (1.0 - inner))
            _add(rgb, py, px, color, amount * share)


@kernel
def _beam(eye, ax, ay, az, bx, by, bz, thick, color, amount, rgb, depth):
    """Draw a straight light with a thickness in world units, at least one pixel wide."""
    height, width = depth.shape
    _, _, fa = _screen(eye, height, width, ax, ay, az)
    _, _, fb = _screen(eye, height, width, bx, by, bz)
    near = 6.0
    if fa < near and fb < near:
        return
    if fa < near:
        k = (near - fa) / (fb - fa)
        ax, ay, az = ax + k * (bx - ax), ay + k * (by - ay), az + k * (bz - az)
    elif fb < near:
        k = (near - fb) / (fa - fb)
        bx, by, bz = bx + k * (ax - bx), by + k * (ay - by), bz + k * (az - bz)
    xa, ya, fa = _screen(eye, height, width, ax, ay, az)
    xb, yb, fb = _screen(eye, height, width, bx, by, bz)
    upright = abs(yb - ya) > abs(xb - xa)
    start, end = (ya, yb) if upright else (xa, xb)
    limit = height if upright else width
    first, last = max(0, int(np.ceil(min(start, end) - 0.5))), min(limit, int(np.ceil(max(start, end) - 0.5)))
    for along in range(first, last):
        k = (along + 0.5 - start) / (end - start)
        inv = (1.0 - k) / fa + k / fb
        middle = xa + k * (xb - xa) if upright else ya + k * (yb - ya)
        half = max(0.5, 0.25 * thick * width * inv)
        across = width if upright else height
        for side in range(max(0, int(np.ceil(middle - half - 0.5))), min(across, int(np.ceil(middle + half - 0.5)))):
            py, px = (along, side) if upright else (side, along)
            if depth[py, px] * inv >= 0.99:
                _add(rgb, py, px, color, amount)


@kernel
def _spawn_rings(w, eye, rgb):
    """Draw circles around the player, which are lines of equal elevation."""
    height, width, _ = rgb.shape
    for y in range(height):
        v = (height - 1 - 2 * y) / width
        flat = eye[5] + v * eye[6]
        dz = v * eye[5] - eye[6]
        for k in range(len(RINGS)):
            slope, half, first, last, dashed = RINGS[k]
            if w.map_ms < first or w.map_ms >= last or slope * dz < 0.0:
                continue
            amount = 0.45 * (1.0 - 0.7 * w.map_ms / SPAWN_MS)
            for x in range(width):
                u = (2 * x + 1 - width) / width
                if dashed == 1 and (x * 16 // width) & 1:
                    continue
                elevation = dz / np.sqrt(flat * flat + u * u)
                if abs(elevation - slope) < half:
                    for c in range(3):
                        rgb[y, x, c] += int((255 - rgb[y, x, c]) * amount)


@kernel
def _shadow(p, floor, eye, rgb, depth):
    """Draw a round shadow under a player, on the floor at height `floor`."""
    height, width = depth.shape
    above = p.pos[2] - 24.0 - floor
    if above > SHADOW_REACH:
        return
    x0, x1, y0, y1 = 0, width, 0, height
    if eye[6] < 0.4:
        # nearly level view: the shadow is small and near the row of its center
        cx, cy, far = _screen(eye, height, width, p.pos[0], p.pos[1], floor)
        if far < 1.0:
            return
        near = max(far - SHADOW_RADIUS, 4.0)
        size = SHADOW_RADIUS * 0.5 * width / near
        tall = size * (abs(eye[2] - floor) / near + abs(eye[6]) + 0.1) + 1.0
        x0, x1 = max(0, int(cx - size)), min(width, int(cx + size) + 1)
        y0, y1 = max(0, int(cy - tall)), min(height, int(cy + tall) + 1)
    strength = 0.85 * (1.0 - above / SHADOW_REACH)
    for py in range(y0, y1):
        v = (height - 1 - 2 * py) / width
        dz = v * eye[5] - eye[6]
        if dz >= -1e-3:
            continue
        t = (floor - eye[2]) / dz
        flat = eye[5] + v * eye[6]
        for px in range(x0, x1):
            u = (2 * px + 1 - width) / width
            ox = eye[0] + t * (flat * eye[3] + u * eye[4]) - p.pos[0]
            oy = eye[1] + t * (flat * eye[4] - u * eye[3]) - p.pos[1]
            r = ox * ox + oy * oy
            if r < SHADOW_RADIUS * SHADOW_RADIUS and abs(t - depth[py, px]) < 0.01 * t:
                keep = 1.0 - strength * min(1.0, (SHADOW_RADIUS - np.sqrt(r)) / SHADOW_EDGE)
                for c in range(3):
                    rgb[py, px, c] = int(rgb[py, px, c] * keep)


@kernel
def _shot(w, k, eye, rgb, depth):
    """Draw the visible part of a player's last shot."""
    p = w.players[k]
    fade = min(1.0, p.flash_ms / 50.0)
    if k == 0:
        right, up = GUN[1], GUN[2]
        fx, fy, fz = eye[3] * eye[5], eye[4] * eye[5], -eye[6]
        x = eye[0] + GUN[0] * fx + right * eye[4] + up * eye[3] * eye[6]
        y = eye[1] + GUN[0] * fy - right * eye[3] + up * eye[4] * eye[6]
        z = eye[2] + GUN[0] * fz + up * eye[5]
    else:
        yaw = p.yaw * (2.0 * np.pi / 65536.0)
        x = p.pos[0] + 27.0 * np.cos(yaw) + 14.0 * np.sin(yaw)
        y = p.pos[1] + 27.0 * np.sin(yaw) - 14.0 * np.cos(yaw)
        z = p.pos[2] + 1.0
        _glow(eye, x, y, z, 12.0, 0.0, WHITE, 1.2 * fade, rgb, depth)
    ex, ey, ez = p.shot_end[0], p.shot_end[1], p.shot_end[2]
    if p.weapon == s.RAILGUN:
        _beam(eye, x, y, z, ex, ey, ez, 3.0, RAIL, 0.9 * fade, rgb, depth)
        _glow(eye, ex, ey, ez, 16.0, 0.4, RAIL, fade, rgb, depth)
    elif p.weapon == s.LIGHTNING:
        _beam(eye, x, y, z, ex, ey, ez, 4.0, BOLT, 0.9 * fade, rgb, depth)
        _glow(eye, ex, ey, ez, 14.0, 0.0, BOLT, fade, rgb, depth)
    elif p.weapon == s.MACHINEGUN:
        if k > 0:
            _beam(eye, x, y, z, ex, ey, ez, 0.5, WHITE, 0.25 * fade, rgb, depth)
        _glow(eye, ex, ey, ez, 14.0, 0.5, CYAN, 0.8 * fade, rgb, depth)


@kernel
def _rocket(m, eye, rgb, depth):
    x, y, z = m.pos[0], m.pos[1], m.pos[2]
    if m.active == 1:
        _beam(eye, x, y, z, x - 0.05 * m.vel[0], y - 0.05 * m.vel[1], z - 0.05 * m.vel[2], 5.0, FIRE, 0.4, rgb, depth)
        _glow(eye, x, y, z, 14.0, 0.0, FIRE, 1.0, rgb, depth)
        _glow(eye, x, y, z, 7.0, 0.0, WHITE, 1.0, rgb, depth)
    elif m.burst_ms > 0:
        age = 1.0 - m.burst_ms / BURST_MS
        _glow(eye, x, y, z, 25.0 + 60.0 * age, 0.0, FIRE, 1.6 * (1.0 - age), rgb, depth)
        _glow(eye, x, y, z, 15.0 + 85.0 * age, 0.75, WHITE, 0.6 * (1.0 - age), rgb, depth)


@kernel
def draw_effects(w, eye, rgb, depth):
    """Draw all lights and shadows over rgb (H, W, 3); `eye` as in sprites.py."""
    floor = 1.0
    if w.family == s.PSYCHLAB:
        floor = 72.0
    elif w.family == s.DEFERRED:
        floor = 0.0
    for k in range(w.player_count):
        # the player's own shadow lies between its feet, so it is visible only in a steep view
        if w.players[k].alive == 1 and (k > 0 or eye[6] >= 0.4) and w.geometry != s.TERRAIN and w.family != s.WATERMAZE:
            _shadow(w.players[k], floor, eye, rgb, depth)
    for k in range(w.player_count):
        if w.players[k].flash_ms > 0 and w.players[k].alive == 1:
            _shot(w, k, eye, rgb, depth)
    if w.family == s.LASERTAG:
        for i in range(s.MAX_MISSILES):
            _rocket(w.missiles[i], eye, rgb, depth)
    if w.map_ms < SPAWN_MS:
        _spawn_rings(w, eye, rgb)
