"""The two-color patterns of objects (reference A6.3) as tiles that repeat every 32 world units.

A tile has the share of the second color, 0 to 255, at several mip levels, so that a distant object shows the blend of
its two colors instead of noise.
"""

import numpy as np
from numpy.typing import NDArray

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel

TILE = 64  # texels per side, half a world unit each
LEVELS = 7
TEXELS = sum((TILE >> k) ** 2 for k in range(LEVELS))
PATTERNS = s.SWIRLS + 1


@kernel
def tile_start(level):
    """Index of the first texel of a mip level."""
    return 4 * (TILE * TILE - (TILE >> level) * (TILE >> level)) // 3


def _tile(pattern: int) -> NDArray[np.float64]:
    """Share of the second color, (4 TILE, 4 TILE), each 0 or 1: four samples per texel and direction."""
    v, u = np.meshgrid(
        (np.arange(4 * TILE) + 0.5) / 8.0, (np.arange(4 * TILE) + 0.5) / 8.0, indexing="ij"
    )  # world units, 0 to 32
    if pattern == s.CHEQUERED:
        on = (np.floor(u / 8) + np.floor(v / 8)) % 2 == 1
    elif pattern == s.CROSSES:
        a, b = np.abs(u % 16 - 8), np.abs(v % 16 - 8)
        on = (np.minimum(a, b) < 2) & (np.maximum(a, b) < 6.5)
    elif pattern == s.DIAGONAL_STRIPE:
        on = (u + v) % 16 < 8
    elif pattern == s.DISCS:
        on = np.hypot(u % 16 - 8, v % 16 - 8) < 6
    elif pattern == s.HEX:
        # outlines of hexagons: points whose distances to the nearest and second nearest center are about equal
        centres = [(x + shift, y + shift) for x in range(-16, 49, 16) for y in range(-16, 49, 16) for shift in (0, 8)]
        far = np.sort(np.stack([np.hypot((u - x), (v - y) * 1.15) for x, y in centres]), axis=0)
        on = far[1] - far[0] < 2.2
    elif pattern == s.PINSTRIPE:
        on = u % 8 < 2.5
    elif pattern == s.SPOTS:
        on = (np.hypot(u % 8 - 4, v % 16 - 4) < 2.3) | (np.hypot((u + 4) % 8 - 4, v % 16 - 12) < 2.3)
    elif pattern == s.SWIRLS:
        a, b = u - 16, v - 16
        on = (np.arctan2(b, a) / (2 * np.pi) + np.hypot(a, b) / 9.0) % 1.0 < 0.5
    else:
        on = np.zeros_like(u)
    return np.asarray(on, np.float64)


def build_patterns() -> NDArray[np.uint8]:
    """Make all tiles with their mip levels, (PATTERNS, TEXELS) uint8."""
    rows = []
    for pattern in range(PATTERNS):
        x = _tile(pattern).reshape(TILE, 4, TILE, 4).mean((1, 3)) * 255.0
        parts = []
        for _ in range(LEVELS):
            parts.append(np.floor(x + 0.5).astype(np.uint8).ravel())
            x = 0.25 * (x[0::2, 0::2] + x[1::2, 0::2] + x[0::2, 1::2] + x[1::2, 1::2]) if x.size > 1 else x
        rows.append(np.concatenate(parts))
    return np.stack(rows)
