"""Skies drawn by code: the five upper faces of a cube (east, north, west, south, up), as `rows.sky_row` reads them.

A dark city with pale outlines stands against a blue gradient, as in DMLab's explore levels, with wire-frame crystals
overhead.
"""

import numpy as np

from flexlam_rl.envs.litelab import textures as tx

_N = tx.SKY_SIZE
_TOP, _HORIZON = (139.0, 217.0, 255.0), (89.0, 163.0, 255.0)
_TOWER, _HAZE, _RIM = (70.0, 77.0, 86.0), (82.0, 126.0, 176.0), (150.0, 226.0, 250.0)
POOL = (152.0, 227.0, 255.0)

# Hazy blocks and dark towers of each face: left and right edge as shares of the face from its left (as stored), and
# height above the horizon as a share of half its height.
_BLOCKS = (
    ((0.09, 0.18, -0.36), (0.22, 0.30, 0.0), (0.28, 0.48, 0.18), (0.56, 0.61, -0.2), (0.70, 0.87, 0.18)),
    ((0.12, 0.22, 0.0), (0.45, 0.52, 0.08), (0.60, 0.68, 0.30), (0.80, 0.93, 0.18)),
    ((0.06, 0.12, -0.2), (0.30, 0.56, 0.0), (0.62, 0.68, 0.26), (0.81, 0.90, 0.18)),
    ((0.10, 0.20, 0.08), (0.30, 0.34, 0.1), (0.50, 0.56, 0.08), (0.61, 0.75, -0.06), (0.90, 0.95, 0.28)),
)
_TOWERS = (
    ((0.438, 0.451, 0.65), (0.650, 0.690, 0.72)),
    ((0.225, 0.345, 0.47), (0.345, 0.450, 0.43), (0.690, 0.755, 0.48)),
    ((0.222, 0.238, 0.33), (0.250, 0.256, 0.33), (0.462, 0.506, 0.63), (0.690, 0.712, 0.38)),
    ((0.207, 0.264, 0.49), (0.385, 0.495, 0.36), (0.748, 0.818, 0.36)),
)
# Lit stripes on towers: face, left and right edge, height, color.
_STRIPES = ((1, 0.363, 0.378, 0.40, (237.0, 172.0, 43.0)), (3, 0.756, 0.770, 0.35, (45.0, 150.0, 105.0)))
# Corners of the crystals on the upper face, as shares of the face; each is a closed polygon with a line from its first
# corner to its fourth.
_CRYSTALS = (
    ((0.20, 0.28), (0.26, 0.22), (0.40, 0.24), (0.47, 0.30), (0.38, 0.35), (0.24, 0.34)),
    ((0.83, 0.14), (0.90, 0.24), (0.90, 0.34), (0.76, 0.45), (0.74, 0.32), (0.74, 0.24)),
    ((0.40, 0.47), (0.45, 0.40), (0.54, 0.41), (0.59, 0.47), (0.53, 0.51), (0.43, 0.50)),
    ((0.10, 0.55), (0.22, 0.49), (0.30, 0.53), (0.25, 0.59), (0.20, 0.60), (0.13, 0.58)),
    ((0.32, 0.67), (0.42, 0.61), (0.52, 0.64), (0.48, 0.70), (0.42, 0.73), (0.36, 0.71)),
    ((0.57, 0.75), (0.59, 0.67), (0.77, 0.57), (0.76, 0.63), (0.68, 0.72), (0.60, 0.74)),
)


def _fill(image: np.ndarray, x0: float, x1: float, top: float, color: tuple[float, ...], share: float = 1.0) -> None:
    """Mix a color into the columns x0..x1 (shares of the face) below the height `top`, which is 1 at the cube's edge
    and 0 at the horizon.
    """
    part = image[max(int((1.0 - top) * 0.5 * _N + 0.5), 0) :, max(int(x0 * _N + 0.5), 0) : int(x1 * _N + 0.5)]
    part += (np.array(color) - part) * share


def _side(face: int) -> np.ndarray:
    up = 1.0 - 2.0 * (np.arange(_N) + 0.5) / _N
    share = np.clip((up + 0.05) / 0.85, 0.0, 1.0)[:, None, None]
    image = np.array(_HORIZON) + (np.array(_TOP) - np.array(_HORIZON)) * np.broadcast_to(share, (_N, _N, 1))
    for x0, x1, top in _BLOCKS[face]:
        _fill(image, x0, x1, top, _HAZE, 0.85)
    rim = 1.0 / _N
    for x0, x1, top in _TOWERS[face]:
        _fill(image, x0 - rim, x1 + rim, top + 2.0 * rim, _RIM, 0.9)
        _fill(image, x0, x1, top, _TOWER)
    for number, x0, x1, top, color in _STRIPES:
        if number == face:
            _fill(image, x0, x1, top, color)
    _fill(image, 0.0, 1.0, -0.70, _TOWER)
    # the seam with the upper face is visible as a dotted dark line
    image[0, ::2] = (110.0, 170.0, 190.0)
    return image


def _above() -> np.ndarray:
    image = np.empty((_N, _N, 3))
    image[:] = _TOP
    for corners in _CRYSTALS:
        pieces = [*zip(corners, (*corners[1:], corners[0]), strict=True), (corners[0], corners[3])]
        for (x0, y0), (x1, y1) in pieces:
            # only texels close to the line
            low_x, low_y = int(min(x0, x1) * _N) - 2, int(min(y0, y1) * _N) - 2
            part = image[low_y : int(max(y0, y1) * _N) + 3, low_x : int(max(x0, x1) * _N) + 3]
            y, x = np.meshgrid(
                (low_y + np.arange(part.shape[0]) + 0.5) / _N,
                (low_x + np.arange(part.shape[1]) + 0.5) / _N,
                indexing="ij",
            )
            t = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2), 0.0, 1.0)
            away = np.sqrt((x - x0 - t * (x1 - x0)) ** 2 + (y - y0 - t * (y1 - y0)) ** 2) * _N
            part += (255.0 - part) * np.clip(1.6 - away, 0.0, 1.0)[..., None]
    return image


def city() -> np.ndarray:
    """Draw the sky of the explore, lasertag and language levels, (5, SKY_SIZE, SKY_SIZE, 3)."""
    return np.stack([_side(0), _side(1), _side(2), _side(3), _above()])


def pool() -> np.ndarray:
    """Draw the uniform sky of the water maze."""
    image = np.empty((5, _N, _N, 3))
    image[:] = POOL
    return image
