"""The water maze's platform when it is above the water: a gray octagon with dark stripes."""

import numpy as np

from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels.rooms_geometry import PLATFORM_APOTHEM, PLATFORM_BRUSH, POOL_FLOOR

TOP = 84.0  # brightness of the upper side
EDGE = 56.0


@kernel
def _grey(x, y):
    """Brightness of a point of the upper side; stripes point to the corners."""
    r = np.sqrt(x * x + y * y)
    stripe = np.sin(4.0 * np.arctan2(y, x))
    return TOP * (0.55 if abs(stripe) < 0.12 and r > 10.0 else 1.0) * (0.8 + 0.2 * r / PLATFORM_APOTHEM)


@kernel
def draw_platform(w, eye, rgb, depth):
    """Draw the platform over rgb (H, W, 3) with the depth buffer; `eye` as in sprites.py."""
    height, width = depth.shape
    top = w.brushes[PLATFORM_BRUSH].hi[2]
    if top <= POOL_FLOOR + 0.5:
        return
    ox, oy = w.platform[0] - eye[0], w.platform[1] - eye[1]
    diagonal = np.sqrt(0.5)
    for py in range(height):
        v = (height - 1 - 2 * py) / width
        flat = eye[5] + v * eye[6]
        dz = v * eye[5] - eye[6]
        for px in range(width):
            u = (2 * px + 1 - width) / width
            dx = flat * eye[3] + u * eye[4]
            dy = flat * eye[4] - u * eye[3]
            # the part of the ray inside the eight sides
            enter, leave = 0.0, 1e9
            for k in range(4):
                nx = 1.0 if k == 0 else (0.0 if k == 1 else diagonal)
                ny = 0.0 if k == 0 else (1.0 if k == 1 else (diagonal if k == 2 else -diagonal))
                speed = nx * dx + ny * dy
                centre = nx * ox + ny * oy
                if abs(speed) < 1e-9:
                    if abs(centre) > PLATFORM_APOTHEM:
                        leave = -1.0
                    continue
                a, b = (centre - PLATFORM_APOTHEM) / speed, (centre + PLATFORM_APOTHEM) / speed
                enter, leave = max(enter, min(a, b)), min(leave, max(a, b))
            z = eye[2] + enter * dz
            t, grey = enter, EDGE
            if z > top:
                if dz >= 0.0:
                    continue
                t = (top - eye[2]) / dz
                grey = _grey(t * dx - ox, t * dy - oy)
            if t >= leave or t <= 0.0 or t >= depth[py, px] or eye[2] + t * dz < POOL_FLOOR:
                continue
            rgb[py, px, 0] = int(grey)
            rgb[py, px, 1] = int(grey * 0.96)
            rgb[py, px, 2] = int(grey * 0.9)
            depth[py, px] = t
