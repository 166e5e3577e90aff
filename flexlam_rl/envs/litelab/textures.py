"""Surface textures of litelab: numbers, sizes and mip layout.

Numbers in the atlas: 0 to 19 walls, 20 to 39 floors, then special surfaces. `w.wall_texture[v]` and
`w.floor_texture[v]` both hold style numbers 0 to 19 (a floor's atlas number is FLOORS + its style number);
`segments["texture"]` holds atlas numbers.
"""

import numpy as np

WALLS = 0
FLOORS = 20
DOOR, WATER, POOL_WALL, DEFERRED_WALL, DEFERRED_FLOOR, DEFERRED_CEILING, DEFERRED_DOOR, TERRAIN = range(40, 48)
POOL_PICTURES = 48  # first of the eight walls of the water maze with a picture
TEXTURES = 56

WALL_STYLES = (
    "style_01_green", "style_01_green_bright", "style_01_red", "style_01_red_bright",
    "style_02_yellow", "style_02_yellow_bright", "style_02_blue", "style_02_blue_bright",
    "style_03_orange", "style_03_orange_bright", "style_03_gray", "style_03_gray_bright",
    "style_04_green", "style_04_green_bright", "style_04_red", "style_04_red_bright",
    "style_05_red", "style_05_red_bright", "style_05_yellow", "style_05_yellow_bright",
)  # fmt: skip
FLOOR_STYLES = (
    "style_01_orange", "style_01_orange_bright", "style_01_blue", "style_01_blue_bright",
    "style_02_green", "style_02_green_bright", "style_02_blue", "style_02_blue_bright",
    "style_03_green", "style_03_green_bright", "style_03_blue", "style_03_blue_bright",
    "style_04_orange", "style_04_orange_bright", "style_04_blue", "style_04_blue_bright",
    "style_05_orange", "style_05_orange_bright", "style_05_blue", "style_05_blue_bright",
)  # fmt: skip
CORRIDOR_WALL = 0  # style_01_green
CORRIDOR_FLOOR = 0  # style_01_orange

SIZE_BITS = 7
SIZE = 1 << SIZE_BITS  # texels per side at level 0
LEVELS = 6  # 128, 64, 32, 16, 8, 4
LEVEL_START = np.array(
    [sum((SIZE >> k) ** 2 for k in range(level)) for level in range(LEVELS + 1)]
)  # first texel of each level
TEXELS = int(LEVEL_START[LEVELS])

PICTURES = 80
PICTURE_SIZE = 32
PICTURE_LEVELS = 3
PICTURE_LEVEL_START = np.array(
    [sum((PICTURE_SIZE >> k) ** 2 for k in range(level)) for level in range(PICTURE_LEVELS + 1)]
)
PICTURE_TEXELS = int(PICTURE_LEVEL_START[PICTURE_LEVELS])
PICTURE_WIDTH = 32.0  # world units
PICTURE_HEIGHT = 50.0  # height of a picture's middle

SKY_CITY, SKY_POOL = range(2)
SKIES = 2
SKY_SIZE = 256
SKY_HALF = 13000.0  # half the side of the sky's cube in world units, fitted to recorded frames
SKY_DEPTH = 65536.0


def pack(image: np.ndarray) -> np.ndarray:
    """Pack (..., 3 or 4) uint8 into uint32, red in the low byte, alpha (255 if there is none) in the high one."""
    image = np.asarray(image, np.uint32)
    alpha = image[..., 3] if image.shape[-1] == 4 else np.uint32(255)
    return image[..., 0] | image[..., 1] << 8 | image[..., 2] << 16 | alpha << 24


def mips(image: np.ndarray, levels: int) -> np.ndarray:
    """Flatten an (S, S, 3 or 4) image and its mip levels into packed texels."""
    parts = []
    x = np.asarray(image, np.float64)
    for _ in range(levels):
        parts.append(pack(np.clip(np.floor(x + 0.5), 0, 255)).ravel())
        x = 0.25 * (x[0::2, 0::2] + x[1::2, 0::2] + x[0::2, 1::2] + x[1::2, 1::2])
    return np.concatenate(parts)
