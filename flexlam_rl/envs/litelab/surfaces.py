"""Walls and floors drawn by code, after DMLab's MISHMASH theme: five styles each, in two colors, each normal and
bright.

A pattern is drawn once on a fine grid, as brightness (1 = the base color) and as the share of an accent color, and then
colored; the mean of each texture equals that of DMLab's. Only integer hashes and elementary arithmetic are used, so
that results are the same on every platform.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab import textures_rooms

_FINE = 2 * tx.SIZE
_Y, _X = np.meshgrid((np.arange(_FINE) + 0.5) / _FINE, (np.arange(_FINE) + 0.5) / _FINE, indexing="ij")
Pattern = tuple[np.ndarray, np.ndarray]

# Mean colors, in the order of textures.WALL_STYLES and FLOOR_STYLES.
WALL_COLORS = (
    (85, 120, 75), (166, 197, 156), (143, 32, 26), (213, 124, 104), (190, 141, 9), (212, 184, 52), (77, 94, 114), (120, 136, 154),
    (152, 82, 0), (232, 119, 14), (77, 75, 80), (145, 143, 148), (92, 122, 54), (164, 193, 118), (154, 74, 49), (217, 143, 112),
    (181, 72, 55), (214, 123, 108), (227, 172, 23), (241, 207, 78),
)  # fmt: skip
FLOOR_COLORS = (
    (207, 147, 30), (247, 219, 105), (5, 85, 162), (62, 145, 222), (94, 134, 56), (166, 203, 121), (52, 118, 174), (151, 190, 228),
    (23, 92, 50), (79, 148, 106), (85, 137, 150), (155, 207, 220), (208, 168, 62), (245, 226, 119), (62, 146, 208), (118, 203, 241),
    (183, 107, 44), (213, 168, 119), (48, 132, 205), (118, 177, 213),
)  # fmt: skip
GLOW = (0.0, 135.0, 250.0)  # light of the glowing lines in the first style


def scatter(*numbers: Any) -> Any:
    """Hash each tuple of integers (numbers or arrays, which broadcast) to a number in [0, 1), the same on every
    platform.
    """
    h: Any = np.uint64(0x9E3779B9)
    with np.errstate(over="ignore"):
        for n in numbers:
            h = (np.asarray(n).astype(np.int64).astype(np.uint64) ^ h) * np.uint64(0xBF58476D1CE4E5B9)
            h = h ^ (h >> np.uint64(29))
    return ((h >> np.uint64(20)) & np.uint64(0xFFFF)).astype(np.float64) / 65536.0


def _near(distance: np.ndarray, half: float) -> np.ndarray:
    """Mask that is 1 within `half` of a line and 0 outside, with an edge one fine texel wide."""
    return np.clip((half - distance) * _FINE + 0.5, 0.0, 1.0)


def _inside(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return ((x0 <= _X) & (x1 > _X) & (y0 <= _Y) & (y1 > _Y)).astype(np.float64)


def _segment(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """Distance to a vertical or horizontal line segment."""
    dx = np.maximum(np.maximum(min(x0, x1) - _X, _X - max(x0, x1)), 0.0)
    dy = np.maximum(np.maximum(min(y0, y1) - _Y, _Y - max(y0, y1)), 0.0)
    return np.maximum(dx, dy)


def _lines(pieces: tuple[tuple[float, ...], ...], half: float) -> np.ndarray:
    """Mask of several polylines (x0, y0, x1, y1, ...)."""
    cover = np.zeros_like(_X)
    for p in pieces:
        for k in range(0, len(p) - 2, 2):
            cover = np.maximum(cover, _near(_segment(p[k], p[k + 1], p[k + 2], p[k + 3]), half))
    return cover


def circuit() -> Pattern:
    """Circuit board with square chips, and a lit strip of ticks at the foot."""
    light = np.ones_like(_X)
    for k in range(18):
        # darker boards that overlap
        x, y = scatter(k, 1), scatter(k, 2)
        cover = ((_X - x) % 1.0 < 0.12 + 0.2 * scatter(k, 3)) & ((_Y - y) % 1.0 < 0.06 + 0.16 * scatter(k, 4))
        light *= 1.0 - (0.11 if k % 2 else -0.05) * cover
    for x in (0.075, 0.575):
        for y in (0.09, 0.59):
            chip = _inside(x, y, x + 0.255, y + 0.285)
            edge = _lines(((x, y, x + 0.255, y, x + 0.255, y + 0.285, x, y + 0.285, x, y),), 0.010)
            light *= (1.0 + 0.06 * chip) * (1.0 - 0.25 * edge)
            light *= 1.0 - 0.10 * _inside(x + 0.255, y + 0.05, x + 0.42, y + 0.2)
    traces = (
        (0.33, 0.15, 0.44, 0.15, 0.44, 0.27, 0.575, 0.27), (0.0, 0.27, 0.075, 0.27), (0.19, 0.375, 0.19, 0.47, 0.42, 0.47, 0.42, 0.59),
        (0.69, 0.375, 0.69, 0.47, 0.92, 0.47, 0.92, 0.59), (0.33, 0.72, 0.46, 0.72, 0.46, 0.84, 0.575, 0.84), (0.83, 0.2, 1.0, 0.2),
        (0.83, 0.7, 1.0, 0.7), (0.0, 0.84, 0.075, 0.84), (0.19, 0.06, 0.42, 0.06, 0.42, 0.0), (0.69, 0.06, 0.92, 0.06),
    )  # fmt: skip
    light *= 1.0 - 0.18 * _lines(traces, 0.006)
    light *= 1.0 - 0.12 * (_Y < 0.04)
    band = (_Y > 0.91).astype(np.float64)
    light *= 1.0 - 0.50 * band
    ticks = _inside(0.0, 0.92, 1.0, 0.965) * ((_X * 48.0) % 1.0 < 0.62)
    return light, ticks * (0.0157 / ticks.mean())


def herringbone() -> Pattern:
    """Bricks of two squares laid in a zigzag."""
    n = 12
    i, j = np.floor(_X * n).astype(int), np.floor(_Y * n).astype(int)
    fx, fy = _X * n - i, _Y * n - j
    kind = (i - j) % 4
    level = kind < 2
    # first square of the brick, and position inside the brick
    bi = np.where(kind == 1, i - 1, i) % n
    bj = np.where(kind == 2, j - 1, j) % n
    along = np.where(level, fx + (kind == 1), fy + (kind == 2))
    across = np.where(level, fy, fx)
    edge = np.minimum(np.minimum(along, 2.0 - along), np.minimum(across, 1.0 - across))
    draw = scatter(bi, bj, 11)
    light = 1.03 - 0.12 * (draw < 0.35) - 0.26 * (draw < 0.10) + 0.10 * (draw > 0.8)
    light *= 1.0 - 0.18 * (edge < 0.10)
    return light, np.zeros_like(_X)


def speakers() -> Pattern:
    """A panel with four round dark plates, linked by lines."""
    light = np.ones_like(_X) * 1.12
    light *= 1.0 + 0.25 * ((_X < 0.062) | (_X > 0.938))
    light *= 1.0 - 0.40 * (_Y > 0.955) - 0.10 * (_Y < 0.04)
    light *= 1.0 - 0.30 * (np.abs(_Y - 0.043) < 0.006)
    light *= 1.0 - 0.35 * _lines(((0.44, 0.28, 0.56, 0.28), (0.28, 0.44, 0.28, 0.56), (0.72, 0.44, 0.72, 0.56)), 0.007)
    for x in (0.28, 0.72):
        for y in (0.28, 0.72):
            r = np.sqrt((_X - x) ** 2 + (_Y - y) ** 2)
            light *= (1.0 - 0.35 * _near(np.abs(r - 0.162), 0.007)) * (1.0 - 0.40 * _near(r, 0.122))
    return light, np.zeros_like(_X)


def pipes() -> Pattern:
    """Diagonal checks behind angular grooves, over a dark foot."""
    light = np.ones_like(_X)
    for k, (a, n) in enumerate((((_X + _Y), 14), ((_X - _Y), 14))):
        stripe = np.floor((a % 1.0) * n)
        light *= 0.93 + 0.14 * scatter(stripe, k, 5)
    grooves = (
        (0.10, 0.12, 0.32, 0.12, 0.32, 0.50, 0.88, 0.50, 0.88, 0.85, 0.12, 0.85, 0.12, 0.69, 0.0, 0.69), (0.50, 0.50, 0.50, 0.68),
        (0.71, 0.11, 0.71, 0.32, 1.0, 0.32), (0.0, 0.32, 0.11, 0.32, 0.11, 0.50), (0.88, 0.69, 1.0, 0.69),
    )  # fmt: skip
    light *= 1.0 - 0.35 * _lines(grooves, 0.011)
    light *= np.where(_Y > 0.955, 0.30, 1.0)
    return light, np.zeros_like(_X)


def tiles() -> Pattern:
    """Square tiles, some darker, with pale joints."""
    n = 10
    i, j = np.floor(_X * n).astype(int), np.floor(_Y * n).astype(int)
    draw = scatter(i, j, 2)
    light = 1.0 - 0.10 * (draw < 0.45) - 0.17 * (draw < 0.22)
    edge = np.minimum(np.minimum(_X * n - i, i + 1 - _X * n), np.minimum(_Y * n - j, j + 1 - _Y * n))
    return light, (edge < 0.06).astype(np.float64)


def hexagons() -> Pattern:
    """A honeycomb with clusters of darker cells and faintly lit edges."""
    # flat-topped cells in columns 0.1 apart, with every other column shifted by half a cell
    columns, rows = 10, 8
    best = np.full_like(_X, 9.0)
    second = np.full_like(_X, 9.0)
    cell = np.zeros_like(_X)
    for di in (-1, 0, 1):
        i = np.floor(_X * columns) + di
        shift = 0.5 * (i % 2)
        for dj in (-1, 0, 1):
            j = np.floor(_Y * rows - shift) + dj
            dx = np.abs(_X * columns - i - 0.5)
            dy = np.abs(_Y * rows - shift - j - 0.5)
            # a distance whose unit ball is a hexagon
            d = np.maximum(dy, 0.5 * dy + 0.75 * dx)
            nearer = d < best
            second = np.where(nearer, best, np.minimum(second, d))
            cell = np.where(nearer, (i % columns) * 64 + j % rows, cell)
            best = np.where(nearer, d, best)
    draw = scatter(cell, 7)
    light = 1.02 - 0.06 * (draw < 0.4) - 0.20 * (draw < 0.12)
    edge = _near((second - best) / columns, 0.011)
    return light * (1.0 - 0.08 * edge), edge * (0.087 / edge.mean())


def slants() -> Pattern:
    """Rows of slanted tiles with pale joints."""
    n = 5
    j = np.floor(_Y * n).astype(int)
    fy = _Y * n - j
    shifted = (_X + 0.08 * (fy - 0.5)) * n
    i = np.floor(shifted).astype(int)
    fx = shifted - i
    draw = scatter(i % n, j, 8)
    light = 1.0 + 0.13 * (draw > 0.88) - 0.16 * (draw < 0.10) - 0.04 * (draw < 0.5)
    joint = (fy < 0.05) | (fy > 0.95) | (fx < 0.04) | (fx > 0.97)
    return np.where(joint, 1.12, light), np.zeros_like(_X)


def dots() -> Pattern:
    """Staggered rows of round studs, some pale."""
    n = 12
    j = np.floor(_Y * n).astype(int)
    x = _X * n + 0.5 * (j % 2)
    i = np.floor(x).astype(int)
    r = np.sqrt((x - i - 0.5) ** 2 + (_Y * n - j - 0.5) ** 2)
    draw = scatter(i % n, j, 4)
    light = 0.97 + 0.16 * (r < 0.44) * (draw > 0.83) + 0.05 * (np.abs(r - 0.43) < 0.05)
    return light, np.zeros_like(_X)


def bars() -> Pattern:
    """Three columns of beveled blocks, the middle one paler and shifted."""
    i = np.floor(_X * 3.0).astype(int)
    y = _Y * 3.0 + np.where(i == 1, 0.45, 0.0)
    fx, fy = _X * 3.0 - i, y % 1.0
    light = np.where(i == 1, 1.06, 0.98)
    light = light * (1.0 - 0.13 * (fy > 0.93) + 0.03 * (fy < 0.05))
    hatch = (np.abs(fx - 0.5) < 0.32) & (np.abs(fy - 0.47) < 0.3) & (((fx + fy) * 8.0) % 1.0 < 0.5)
    return light * (1.0 - 0.06 * hatch), (i == 1) * 0.12


def weave() -> Pattern:
    """Basket weave: squares of four strips, alternating between horizontal and vertical."""
    n = 8
    i, j = np.floor(_X * n).astype(int), np.floor(_Y * n).astype(int)
    level = (i + j) % 2 == 0
    f = np.where(level, _Y * n - j, _X * n - i) * 4.0 % 1.0
    return 1.14 - 0.50 * (np.abs(f - 0.5) > 0.36), np.zeros_like(_X)


# Contrast of each pattern in its four colors, so that walls and floors vary as much as the originals at a distance.
WALL_CONTRAST = (
    (0.62, 0.36, 0.75, 0.38), (0.84, 0.85, 0.63, 0.88), (0.95, 0.92, 0.97, 0.90), (1.12, 0.78, 1.13, 0.74), (0.88, 0.55, 0.68, 0.50),
)  # fmt: skip
FLOOR_CONTRAST = (
    (0.78, 0.40, 0.90, 0.60), (0.82, 0.50, 0.83, 0.50), (1.10, 1.00, 1.05, 0.85), (1.28, 0.78, 1.75, 1.45), (1.30, 1.30, 0.55, 1.30),
)  # fmt: skip

WALL_PATTERNS: tuple[Callable[[], Pattern], ...] = (circuit, herringbone, speakers, pipes, tiles)
FLOOR_PATTERNS: tuple[Callable[[], Pattern], ...] = (hexagons, slants, dots, bars, weave)


def _halve(image: np.ndarray) -> np.ndarray:
    return 0.25 * (image[0::2, 0::2] + image[1::2, 0::2] + image[0::2, 1::2] + image[1::2, 1::2])


def _paint(pattern: Pattern, color: tuple[int, int, int], accent: np.ndarray | None, contrast: float) -> np.ndarray:
    """Color a pattern so that its mean is `color`; an accent of None adds GLOW instead of mixing in a color."""
    light, share = (_halve(part) for part in pattern)
    light = 1.0 + (light - light.mean()) * contrast
    base = np.array(color, np.float64)
    image = base * light[..., None]
    if accent is not None:
        image += (accent - image) * share[..., None]
        image *= base / np.maximum(image.mean((0, 1)), 1.0)
    else:
        image += share[..., None] * np.array(GLOW)
    return np.clip(image, 0.0, 255.0)


def walls_and_floors() -> np.ndarray:
    """Draw the first 40 textures of the atlas, (40, SIZE, SIZE, 3)."""
    images = []
    kinds = (
        (WALL_PATTERNS, WALL_COLORS, WALL_CONTRAST, circuit),
        (FLOOR_PATTERNS, FLOOR_COLORS, FLOOR_CONTRAST, hexagons),
    )
    for patterns, colors, contrast, lit in kinds:
        drawn = [pattern() for pattern in patterns]
        for k, color in enumerate(colors):
            pale = np.minimum(np.array(color, np.float64) * 0.65 + 95.0, 255.0)
            accent = None if patterns[k // 4] is lit else pale
            images.append(_paint(drawn[k // 4], color, accent, contrast[k // 4][k % 4]))
    return np.stack(images)


def door() -> Pattern:
    """A nearly black pleated leaf."""
    fold = (_X * 14.0) % 1.0
    return 1.05 - 0.35 * (fold < 0.18) + 0.12 * (fold > 0.7), np.zeros_like(_X)


def special() -> np.ndarray:
    """Draw the textures from textures.DOOR on, (TEXTURES - DOOR, SIZE, SIZE, 3)."""
    rooms = textures_rooms.textures()
    images = [_paint(door(), (29, 36, 39), np.array((0.0, 0.0, 0.0)), 1.0)]
    images += [rooms[number] for number in range(tx.DOOR + 1, tx.TEXTURES)]
    return np.stack(images)
