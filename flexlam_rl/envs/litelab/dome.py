"""The surroundings of psychlab's pillar: a blue dome with rings of light, the screen's frame and stand, and the
pillar's top.

The player stands still, so the distant surroundings are a cube map around the eye. Heights of the rings and sizes of
the frame were measured on the recordings; everything is drawn by code.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flexlam_rl.envs.litelab.textures import pack

FACE = 160  # texels per side of a face of the cube map
FRONT = 256  # texels per side of the frame's picture
FRONT_SIZE = 208.0  # size of the frame's picture in world units
FRONT_LEFT, FRONT_TOP = -104.0, 204.0
PILLAR = 128  # texels per side of the pillar's top
PILLAR_HALF = 32.0  # half its width in world units

Floats = NDArray[np.float64]


class Dome(NamedTuple):
    """Pictures of psychlab's surroundings, packed as in textures.py."""

    cube: NDArray[np.uint32]  # (6, FACE, FACE): faces +x, +y, -x, -y, up, down
    front: NDArray[np.uint32]  # (FRONT, FRONT): frame and stand in the screen's plane, alpha 0 beside them
    pillar: NDArray[np.uint32]  # (PILLAR, PILLAR): the pillar's top, north up


# Elevation in degrees of each ring's upper edge and of the floor's edge, as a + b c + q c^2 with c = cos(2 azimuth).
_RINGS = ((7.8, 10.4, 3.8), (-1.8, 10.0, 3.0), (-18.7, 9.6, 2.3), (-33.5, 7.75, 1.55))
_FLOOR = (-45.0, 8.5, 2.3)


def _edge(azimuth: Floats, curve: tuple[float, float, float]) -> Floats:
    c = np.cos(2 * azimuth)
    return curve[0] + curve[1] * c + curve[2] * c * c


def _paint(image: Floats, where: NDArray[np.bool_], color: Floats | tuple[float, float, float]) -> None:
    image[where] = np.asarray(color)[where] if np.ndim(color) > 1 else color


def _surroundings(azimuth: Floats, elevation: Floats) -> Floats:
    """Colors of directions; angles in radians and degrees."""
    h = np.clip(elevation, 0, 60)[..., None]
    image = np.concatenate([1.05 * h + 1, 1.15 * h + 61, 1.3 * h + 126], axis=-1)
    around = np.abs((np.degrees(azimuth) + 180) % 360 - 180)  # 0 east, 180 west
    sideways = np.abs(around - 90)  # 0 at the north and the south
    _paint(image, (sideways < 1.8) & (elevation < 42), (10, 14, 20))
    _paint(image, ((around < 2.0) | (around > 178.0)) & (elevation < 31), (18, 32, 44))
    _paint(image, elevation < _edge(azimuth, _RINGS[0]), (19, 67, 102))
    # a lamp about every seven degrees, of uneven brightness
    number = np.floor(np.degrees(azimuth) / 7.0)
    lamps = 0.75 + 0.25 * np.cos(number * 2.4) - 0.25 * (np.abs(np.degrees(azimuth) / 7.0 - number - 0.5) > 0.42)
    for k, curve in enumerate(_RINGS):
        below = _edge(azimuth, curve) - elevation
        glow = 1.25 if k == 2 else 0.9
        peak = np.exp(-(((below - 1.3) / 0.8) ** 2)) * lamps * glow
        light = np.clip(95 + 130 * peak[..., None] + np.array([0, 4, 8]), 0, 235)
        _paint(image, (below > 0) & (below < 3.0), light)
        _paint(image, (below >= 2.4) & (below < 3.2), (84, 84, 84))
        _paint(image, (below >= 3.2) & (below < 3.9), (24, 36, 46))
        _paint(image, (below >= 3.9) & (below < 5.0), (52, 60, 66))
        if k % 2 == 1:
            step = (below >= 5.4) & (below < 8.6)
            _paint(image, step, (8, 36, 56))
            _paint(image, step & (sideways < 22.5), (10, 61, 98))
            _paint(image, (below >= 5.4) & (below < 6.8) & ((around < 3.5) | (around > 176.5)), (0, 125, 215))
    _paint(image, elevation < _edge(azimuth, _FLOOR), (87, 165, 255))
    return image


def _cube() -> Floats:
    b, a = np.meshgrid(1 - (np.arange(FACE) + 0.5) * 2 / FACE, (np.arange(FACE) + 0.5) * 2 / FACE - 1, indexing="ij")
    one = np.ones_like(a)
    faces = [(one, -a, b), (a, one, b), (-one, a, b), (-a, -one, b), (a, b, one), (a, b, -one)]
    images = []
    for x, y, z in faces:
        images.append(_surroundings(np.arctan2(y, x), np.degrees(np.arctan2(z, np.hypot(x, y)))))
    return np.stack(images)


def _front() -> Floats:
    """Frame and stand, RGBA."""
    z, x = np.meshgrid(
        FRONT_TOP - (np.arange(FRONT) + 0.5) * FRONT_SIZE / FRONT,
        FRONT_LEFT + (np.arange(FRONT) + 0.5) * FRONT_SIZE / FRONT,
        indexing="ij",
    )
    image = np.zeros((FRONT, FRONT, 4))
    side = np.abs(x)

    def put(where: NDArray[np.bool_], red: float, green: float, blue: float) -> None:
        image[where] = (red, green, blue, 255)

    put((side < 48.6 + (50 - z) * 0.32) & (z < 53) & (z > 12), 52, 52, 52)
    put((side < 46) & (z < 53) & (z > 44), 34, 34, 34)
    put((side < 61) & (z <= 15) & (z > 11), 36, 36, 36)
    put((side > 31) & (side < 50) & (z < 23) & (z > -4), 58, 58, 58)
    put((side > 36) & (side < 40) & (z < 20) & (z > 1), 24, 24, 24)
    put((side > 71) & (side < 77) & (z > 74) & (z < 178), 60, 58, 58)
    put((side > 57) & (side < 74) & (z > 63) & (z < 184), 36, 36, 37)
    put((side > 66) & (side < 70.5) & (z > 64) & (z < 182), 124, 124, 124)
    put((side > 63) & (side < 65) & (z > 64) & (z < 182), 62, 62, 64)
    put((side < 58) & (z > 178) & (z < 196), 32, 32, 32)
    put((side < 57) & (z > 189.5) & (z < 195), 122, 120, 118)
    put((side < 58) & (z > 51) & (z < 67), 42, 42, 42)
    put((side < 57) & (z > 52) & (z < 58), 98, 97, 96)
    put((side < 26) & (z > 57) & (z < 65), 8, 8, 10)
    for corner in (190.0, 57.0):
        put((side > 57) & (side < 73) & (np.abs(z - corner) < 6.5) & (side + np.abs(z - corner) < 76), 10, 42, 92)
    rim = np.hypot((side - 13) / 13, (z - 55) / 9)
    put(rim < 1.12, 60, 64, 70)
    put(rim < 1.0, 9, 22, 48)
    put((side < 57) & (z > 66.2) & (z < 180), 14, 14, 14)
    return image


def _pillar() -> Floats:
    """Rounded slabs with dark joints."""
    y, x = np.meshgrid(
        (np.arange(PILLAR) + 0.5) / PILLAR * 64 - 32, (np.arange(PILLAR) + 0.5) / PILLAR * 64 - 32, indexing="ij"
    )
    tone = np.full_like(x, 112.0)
    tone[(np.floor(x / 6.4 + 0.5) + np.floor(y / 6.4 + 0.5)) % 4 == 2] = 100.0
    for cx, cy in ((-21, -21), (21, -21), (-21, 21), (21, 21), (0, 0), (-29, 0), (29, 0), (0, -29), (0, 29)):
        near = np.hypot(x - cx, y - cy) if (cx, cy) != (0, 0) else np.maximum(np.abs(x), np.abs(y)) * 1.05
        tone[np.abs(near - 13.0) < 0.9] = 88.0
        tone[np.abs(np.maximum(np.abs(x - cx), np.abs(y - cy)) - 6.0) < 0.6] = 100.0
    return np.stack([tone] * 3, axis=-1)


def build_dome() -> Dome:
    """Draw all pictures, which takes a few hundredths of a second, once per process."""

    def packed(image: Floats) -> NDArray[np.uint32]:
        return np.asarray(pack(np.clip(np.floor(image + 0.5), 0, 255)), np.uint32)

    return Dome(packed(_cube()), packed(_front()), packed(_pillar()))
