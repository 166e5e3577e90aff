"""The 80 pictures that hang on maze walls: four styles of 20, drawn by code after DMLab's.

The styles are gray photographs, red signs on cream paper, paintings on cream paper, and pale reliefs. Only elementary
arithmetic and integer hashes are used, so that results are the same on every platform.
"""

import numpy as np

from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab.surfaces import scatter

_N = tx.PICTURE_SIZE
_Y, _X = np.meshgrid((np.arange(_N) + 0.5) / _N, (np.arange(_N) + 0.5) / _N, indexing="ij")
_EDGE = np.minimum(np.minimum(_X, 1.0 - _X), np.minimum(_Y, 1.0 - _Y))
PER_STYLE = tx.PICTURES // 4
_PAPER = (226.0, 219.0, 203.0)
_RED = (218.0, 28.0, 28.0)
_INKS = ((205.0, 40.0, 40.0), (232.0, 140.0, 50.0), (226.0, 190.0, 60.0), (60.0, 170.0, 80.0), (50.0, 120.0, 200.0), (110.0, 70.0, 200.0),
         (200.0, 60.0, 140.0), (90.0, 60.0, 40.0), (180.0, 190.0, 60.0))  # fmt: skip


def _number(picture: int, k: int) -> float:
    """The k-th random number of a picture, in [0, 1)."""
    return float(scatter(picture, k, 77))


def _noise(seed: int, cells: int) -> np.ndarray:
    """Smooth noise in [0, 1): hashed values on a grid, blended linearly."""
    i, j = np.floor(_X * cells), np.floor(_Y * cells)
    fx, fy = _X * cells - i, _Y * cells - j
    low = scatter(i, j, seed) * (1.0 - fx) + scatter(i + 1, j, seed) * fx
    high = scatter(i, j + 1, seed) * (1.0 - fx) + scatter(i + 1, j + 1, seed) * fx
    return low * (1.0 - fy) + high * fy


def _disc(x: float, y: float, r: float) -> np.ndarray:
    return (_X - x) ** 2 + (_Y - y) ** 2 < r * r


def _bar(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return (x0 <= _X) & (x1 > _X) & (y0 <= _Y) & (y1 > _Y)


def _photograph(k: int) -> np.ndarray:
    grey = 0.55 * _noise(3 * k, 3) + 0.30 * _noise(3 * k + 1, 7) + 0.15 * (0.3 + 0.5 * _number(k, 1) < _Y)
    grey = 40.0 + 210.0 * (grey - grey.min()) / (grey.max() - grey.min())
    return np.repeat(np.where(_EDGE < 0.035, 70.0, grey)[..., None], 3, axis=2)


def _shapes(k: int) -> list[np.ndarray]:
    """Draw the shapes of the signs: discs, bars, crosses, triangles and their pairs."""
    upright = np.abs(_X - 0.5) < 0.5 * (_Y - 0.25)
    hanging = np.abs(_X - 0.5) < 0.5 * (0.75 - _Y)
    return [
        _disc(0.5, 0.5, 0.24), _bar(0.44, 0.18, 0.56, 0.82), _bar(0.2, 0.32, 0.8, 0.68), _bar(0.42, 0.2, 0.58, 0.8) | _bar(0.2, 0.42, 0.8, 0.58),
        upright & (_Y < 0.75), hanging & (_Y > 0.25), _disc(0.32, 0.55, 0.11) | _disc(0.68, 0.55, 0.11),
        _disc(0.32, 0.32, 0.14) | _disc(0.68, 0.68, 0.14), _bar(0.2, 0.22, 0.5, 0.5) | _bar(0.5, 0.5, 0.8, 0.78),
        _disc(0.5, 0.5, 0.30) & ~_disc(0.5, 0.5, 0.18), (_X * 7.0 % 1.0 < 0.4) & _bar(0.15, 0.2, 0.85, 0.8),
        (_Y * 6.0 % 1.0 < 0.4) & _bar(0.2, 0.15, 0.8, 0.85), _disc(0.3, 0.3, 0.13) | _disc(0.7, 0.3, 0.13) | _disc(0.5, 0.68, 0.13),
        np.abs(_X - 0.5) + np.abs(_Y - 0.5) < 0.3, _bar(0.3, 0.2, 0.42, 0.8) | _bar(0.58, 0.2, 0.7, 0.8),
        _disc(0.5, 0.5, 0.3) & (_Y > 0.5), _disc(0.5, 0.5, 0.3) & (_X > 0.5), np.abs(np.abs(_X - 0.5) - np.abs(_Y - 0.5)) < 0.07,
        _bar(0.35, 0.35, 0.65, 0.65), _disc(0.5, 0.5, 0.12),
    ]  # fmt: skip


def _sign(k: int) -> np.ndarray:
    image = np.empty((_N, _N, 3))
    image[:] = _PAPER
    image[_shapes(k)[k] & (_EDGE > 0.09)] = _RED
    image[_EDGE < 0.035] = (96.0, 92.0, 88.0)
    return image


def _painting(k: int) -> np.ndarray:
    image = np.empty((_N, _N, 3))
    image[:] = _PAPER
    first = int(9 * _number(k, 2))
    for n in range(9):
        x, y = 0.2 + 0.6 * _number(k, 10 + n), 0.2 + 0.6 * _number(k, 30 + n)
        ink = _INKS[(first + (n % 3) * int(1 + 3 * _number(k, 3))) % len(_INKS)]
        r = 0.07 + 0.13 * _number(k, 50 + n)
        stretch = 0.5 + _number(k, 70 + n)
        image[((_X - x) * stretch) ** 2 + ((_Y - y) / stretch) ** 2 < r * r] = ink
    image = 0.75 * image + 0.25 * np.array(_PAPER)
    image[_EDGE < 0.06] = (205.0, 200.0, 188.0)
    return image


def _relief(k: int) -> np.ndarray:
    image = np.empty((_N, _N, 3))
    image[:] = (208.0, 206.0, 208.0)
    kind = k % 5
    if kind == 0:
        lines = ((_X * (5 + k // 5)) % 1.0 < 0.25) | ((_Y * (5 + k // 5)) % 1.0 < 0.25)
    elif kind == 1:
        lines = np.abs(np.abs(_X - 0.5) - np.abs(_Y - 0.5)) < 0.02 + 0.03 * (k // 5)
    elif kind == 2:
        r2 = (_X - 0.5) ** 2 + (_Y - 0.5) ** 2
        lines = (r2 < (0.38 - 0.03 * (k // 5)) ** 2) & (r2 > 0.04)
    elif kind == 3:
        lines = (_X - _Y + 1.0) * (4 + k // 5) % 1.0 < 0.3
    else:
        lines = _bar(0.25, 0.25, 0.75, 0.45 + 0.08 * (k // 5))
    tint = (206.0, 188.0, 188.0) if k % 2 else (188.0, 188.0, 192.0)
    image[lines & (_EDGE > 0.1)] = tint
    image[_EDGE < 0.035] = (176.0, 174.0, 174.0)
    return image


def pictures() -> np.ndarray:
    """Draw all wall pictures, (PICTURES, PICTURE_SIZE, PICTURE_SIZE, 3)."""
    styles = (_photograph, _sign, _painting, _relief)
    return np.stack([style(k) for style in styles for k in range(PER_STYLE)])
