"""The ground of natlab: a table of heights on a square grid, with two triangles per cell.

The real maps are prebuilt models, which are not used here. This lowland with hills resembles the recorded paths: nine
tenths of the steps are on slopes below 0.25, all slopes can be walked up, and the highest ground is about 200 units
above the lowest.
"""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.rng import mix

SIZE = 2048.0  # side of the field; its south-west corner is the origin
SPACING = SIZE / (s.TERRAIN_POINTS - 1)
LOWLAND = -60.0
MAX_SLOPE = 0.75  # of a triangle; the z of its normal is then at least 0.8, so everything can be walked up
WAVE = 720.0  # size of the hills
RIPPLE = 224.0
RIPPLE_HEIGHT = 9.0
HILL_HEIGHT = 240.0
HILL_FROM, HILL_TO = 0.52, 0.95  # noise below the first value is lowland, above the second a summit


@kernel
def _lattice(seed, i, j):
    """A random number in [0, 1) for a point of a square lattice."""
    h = mix(seed ^ mix(np.uint64(i + 4096) * np.uint64(8192) + np.uint64(j + 4096)))
    return float(h >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@kernel
def _noise(seed, x, y):
    """Smooth value noise in [0, 1) with lattice spacing 1."""
    i = int(np.floor(x))
    j = int(np.floor(y))
    u = x - i
    v = y - j
    u = u * u * u * (u * (6.0 * u - 15.0) + 10.0)
    v = v * v * v * (v * (6.0 * v - 15.0) + 10.0)
    low = _lattice(seed, i, j) * (1.0 - u) + _lattice(seed, i + 1, j) * u
    high = _lattice(seed, i, j + 1) * (1.0 - u) + _lattice(seed, i + 1, j + 1) * u
    return low * (1.0 - v) + high * v


@kernel
def build(w):
    """Fill the height table from `w.terrain_seed`."""
    seed = np.uint64(w.terrain_seed)
    ripples = mix(seed + np.uint64(1))
    n = s.TERRAIN_POINTS
    for j in range(n):
        for i in range(n):
            x = i * SPACING
            y = j * SPACING
            part = (_noise(seed, x / WAVE, y / WAVE) - HILL_FROM) / (HILL_TO - HILL_FROM)
            part = min(max(part, 0.0), 1.0)
            hill = part * part * (3.0 - 2.0 * part)
            z = LOWLAND + HILL_HEIGHT * hill + RIPPLE_HEIGHT * (2.0 * _noise(ripples, x / RIPPLE, y / RIPPLE) - 1.0)
            w.terrain_height[j, i] = z
    # Flatten what is too steep: repeated passes lower points that are too high above a neighbor to walk up.
    most = MAX_SLOPE * SPACING * 0.7071
    changed = True
    while changed:
        changed = False
        for j in range(n):
            for i in range(n):
                for k in range(4):
                    jj = j + (1 if k == 0 else (-1 if k == 1 else 0))
                    ii = i + (1 if k == 2 else (-1 if k == 3 else 0))
                    if 0 <= jj < n and 0 <= ii < n and w.terrain_height[j, i] > w.terrain_height[jj, ii] + most + 1e-3:
                        w.terrain_height[j, i] = w.terrain_height[jj, ii] + most
                        changed = True


@kernel
def _cell(x):
    """Find the cell of a coordinate and the place in it; outside the field, the border's height continues."""
    t = min(max(x / SPACING, 0.0), s.TERRAIN_POINTS - 1.0)
    i = min(int(t), s.TERRAIN_POINTS - 2)
    return i, t - i


@kernel
def height(w, x, y):
    """Height of the ground at (x, y)."""
    i, u = _cell(x)
    j, v = _cell(y)
    h = w.terrain_height
    low = float(h[j, i])
    if u + v <= 1.0:
        return low + (h[j, i + 1] - low) * u + (h[j + 1, i] - low) * v
    high = float(h[j + 1, i + 1])
    return high + (h[j + 1, i] - high) * (1.0 - u) + (h[j, i + 1] - high) * (1.0 - v)


@kernel
def normal(w, x, y):
    """Unit normal (nx, ny, nz) of the ground at (x, y)."""
    i, u = _cell(x)
    j, v = _cell(y)
    h = w.terrain_height
    if u + v <= 1.0:
        gx = float(h[j, i + 1]) - h[j, i]
        gy = float(h[j + 1, i]) - h[j, i]
    else:
        gx = float(h[j + 1, i + 1]) - h[j + 1, i]
        gy = float(h[j + 1, i + 1]) - h[j, i + 1]
    gx /= SPACING
    gy /= SPACING
    scale = 1.0 / np.sqrt(gx * gx + gy * gy + 1.0)
    return -gx * scale, -gy * scale, scale
