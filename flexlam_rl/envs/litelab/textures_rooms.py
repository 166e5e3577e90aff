"""Surfaces of the rooms without a maze: the water maze's pool, and the deferred-effects rooms.

Colors and sizes were measured on recorded frames; everything is drawn by code. Textures are (SIZE, SIZE, 3) and repeat.
Along a wall, they run to the viewer's left, like the wall coordinates of a room's segments; their first row is at the
top of the wall.
"""

import numpy as np
from numpy.typing import NDArray

from flexlam_rl.envs.litelab import textures as tx

Floats = NDArray[np.float64]

POOL = 192.0  # world units that a pool texture covers: the height of the wall
ROOM = 135.0  # world units of a room's wall texture: two panels of 67.5
CEILING = 160.0  # world units between lamps
WATER = 256.0

# Colors of the pool's eight pictures, counterclockwise from the east, and of their shapes.
PICTURE_COLORS = (
    (143, 208, 4),
    (140, 10, 14),
    (82, 14, 205),
    (0, 223, 196),
    (215, 165, 10),
    (0, 100, 235),
    (196, 4, 6),
    (132, 0, 205),
)
PICTURE_LIGHT = (164, 228, 232)


def _grid(size: float) -> tuple[Floats, Floats]:
    """World coordinates of the texels: across (to the right) and down."""
    at = (np.arange(tx.SIZE) + 0.5) * size / tx.SIZE
    down, across = np.meshgrid(at, at, indexing="ij")
    return across, down


def _noise(seed: int, cells: int) -> Floats:
    """Smooth noise in -1..1 that repeats, with `cells` lattice points per side."""
    lattice = np.random.default_rng(seed).uniform(-1, 1, (cells, cells))
    at = np.arange(tx.SIZE) * cells / tx.SIZE
    low = at.astype(int)
    part = at - low
    part = part * part * (3 - 2 * part)
    high = (low + 1) % cells
    rows = lattice[low] * (1 - part)[:, None] + lattice[high] * part[:, None]
    return np.asarray(rows[:, low] * (1 - part) + rows[:, high] * part)


def water() -> Floats:
    """Water: small bright meshes around darker blue, on large lighter and darker areas."""
    ripple = np.abs(_noise(1, 20) + 0.45 * _noise(2, 40))
    mesh = np.exp(-((ripple / 0.32) ** 2))
    broad = _noise(3, 4) + 0.5 * _noise(4, 8)
    tone = 0.75 * (mesh - 0.5) + 0.3 * broad
    base = np.array([75.0, 138.0, 197.0])
    return np.asarray(base + tone[..., None] * np.array([34.0, 44.0, 40.0]))


def _lines(
    image: Floats, across: Floats, down: Floats, pieces: tuple[tuple[float, float, float, float], ...], color: Floats
) -> None:
    """Draw dark vertical or horizontal lines (x0, y0, x1, y1) in a tile of 96 units, with one unit of shade beside."""
    for x0, y0, x1, y1 in pieces:
        inside_x = np.maximum(np.maximum(x0 - across, across - x1), 0)
        inside_y = np.maximum(np.maximum(y0 - down, down - y1), 0)
        far = np.hypot(inside_x, inside_y)
        share = np.clip(1.3 - far / 1.6, 0, 1)[..., None]
        image[:] = image * (1 - share) + color * share


# A circuit board of 96 x 96 units.
_CIRCUIT = (
    (4, 8, 4, 40), (4, 40, 34, 40), (34, 20, 34, 40), (34, 20, 50, 20), (50, 14, 50, 26), (12, 60, 60, 60), (60, 60, 60, 88), (12, 60, 12, 84),
    (12, 84, 40, 84), (72, 4, 72, 52), (72, 52, 92, 52), (58, 44, 72, 44), (84, 70, 84, 94), (70, 74, 84, 74), (22, 52, 22, 60), (44, 66, 54, 66),
)  # fmt: skip


def pool_wall() -> Floats:
    """A blue wall with dark circuit lines and a bright line at the water."""
    across, down = _grid(POOL)
    image = np.empty((tx.SIZE, tx.SIZE, 3))
    image[:] = (32, 112, 171)
    image += (3.0 * _noise(5, 16) + 3.0 * _noise(6, 4))[..., None]
    dark = np.array([12.0, 62.0, 96.0])
    _lines(image, across % 96, down % 96, _CIRCUIT, dark)
    image[:] = image * np.clip(0.88 + 0.12 * (down - 4) / 20, 0.88, 1)[..., None]
    image[(down > POOL - 24) & (down < POOL - 15)] = (138, 208, 248)
    return image


def _shape(number: int, x: Floats, y: Floats) -> NDArray[np.bool_]:
    """Mask of the light shape of picture `number`; x is to the right and y up from the picture's middle."""
    r = np.hypot(x, y)
    if number == 0:  # circle and cross
        return (r < 26) | ((np.abs(x) < 12) & (np.abs(y) < 44)) | ((np.abs(y) < 12) & (np.abs(x) < 44))
    if number == 1:  # triangle
        return (y > -32) & (np.abs(x) < (38 - y) * 0.6)
    if number == 2:  # square
        return np.maximum(np.abs(x), np.abs(y)) < 34
    if number == 3:  # diamond
        return np.abs(x) + np.abs(y) < 54
    if number == 4:  # clover
        return np.minimum(np.hypot(np.abs(x) - 19, y), np.hypot(x, np.abs(y) - 19)) < 20
    if number == 5:  # hexagon
        return (np.abs(x) * 0.866 + np.abs(y) * 0.5 < 38) & (np.abs(y) < 38)
    if number == 6:  # arc
        return (y > -38) & (np.hypot(x, y * 0.85) < 40)
    angle = np.arctan2(x, y)  # star
    return r < 22 + 20 * np.abs(((angle * 5 / (2 * np.pi)) % 1.0) * 2 - 1) ** 1.5


def pool_picture(number: int) -> Floats:
    """The part of the pool's wall with picture `number`, 192 units wide, with the picture slightly right of its middle."""
    image = pool_wall()
    across, down = _grid(POOL)
    x, z = across - POOL / 2 - 11, POOL - down  # from the viewer's left
    image[(np.abs(x) < 77) & (np.abs(z - 100) < 79)] = (24, 34, 44)
    inner = (np.abs(x) < 68) & (np.abs(z - 100) < 69)
    image[inner] = PICTURE_COLORS[number]
    y = z - 100
    image[inner & ((np.abs(x) < 2.2) | (np.abs(y) < 2.2))] = (14, 18, 24)
    grown = _shape(number, x * 0.9, y * 0.9)
    image[inner & grown] = (8, 10, 12)
    image[inner & _shape(number, x, y)] = PICTURE_LIGHT
    column = (x < -72) & (x > -99) & (z > 18) & (z < 178)
    image[column] = (48, 54, 60)
    image[column & (np.abs(x + 85) > 10.5)] = (30, 36, 42)
    image[column & (np.abs(x + 85) < 8) & (np.abs(z - 62) < 10)] = (30, 150, 140)
    image[column & (np.abs(x + 85) < 8) & (np.abs(z - 36) < 8)] = (40, 120, 118)
    return np.asarray(image[:, ::-1])


def room_wall() -> Floats:
    """Two yellow panels between dark posts, a blue-gray rail above and below (80 units high)."""
    across, down = _grid(ROOM)
    z = 80.0 - down
    x = across % (ROOM / 2)
    x = ROOM / 2 - x  # from the viewer's left
    image = np.empty((tx.SIZE, tx.SIZE, 3))
    light = (
        1.0
        - 0.10 * np.clip((z - 45) / 30, 0, 1)
        - 0.12 * np.clip((20 - z) / 15, 0, 1)
        - 0.06 * np.cos(2 * np.pi * (x / 67.5))
    )
    image[:] = np.array([178.0, 136.0, 2.0]) * light[..., None]
    patch = np.array([165.0, 103.0, 0.0]) * light[..., None]
    for where in ((x > 48) & (z > 40) & (z < 56), (x < 20) & (z > 24) & (z < 40)):
        image[where] = patch[where]
    image[np.abs((z % 16) - 8) > 7.6] *= 0.95
    rail = (z > 70) | (z < 10)
    image[z > 70] = (84, 97, 104)
    image[(z > 77) | ((z > 69.5) & (z < 71.5))] = (46, 50, 52)
    image[z < 10] = (74, 84, 91)
    image[z < 3] = (52, 56, 58)
    post = np.abs((x + ROOM / 4) % (ROOM / 2) - ROOM / 4)
    image[(post < 4.4) & (z > 0)] = (42, 43, 46)
    image[(post < 1.9) & (z > 0)] = (66, 68, 71)
    image[(post > 0.8) & (post < 1.4) & ~rail] = (40, 41, 44)
    return image


def _lamps(across: Floats, down: Floats) -> Floats:
    """Light of the lamps, 0..1; one lamp is in the middle of each square of the ceiling."""
    x, y = (across + CEILING / 2) % CEILING - CEILING / 2, (down + CEILING / 2) % CEILING - CEILING / 2
    return np.asarray(np.exp(-((np.hypot(x, y) / 44.0) ** 2)))


def room_floor() -> Floats:
    """A dark floor, slightly brighter below the lamps."""
    across, down = _grid(CEILING)
    tone = 42 + 16 * _lamps(across, down) + 1.5 * _noise(7, 32)
    return np.stack([tone, tone, tone * 1.01], axis=-1)


def room_ceiling() -> Floats:
    """A ceiling of gray tiles in a grid, bright around the lamps."""
    across, down = _grid(CEILING)
    light = 0.46 + 0.62 * _lamps(across, down)
    image = np.empty((tx.SIZE, tx.SIZE, 3))
    image[:] = (226, 217, 196)
    bar = np.minimum(across % 32, 32 - across % 32) < 4.2
    bar |= np.minimum(down % 32, 32 - down % 32) < 4.2
    image[bar] = (150, 147, 138)
    edge = (np.minimum(across % 32, 32 - across % 32) < 1.2) | (np.minimum(down % 32, 32 - down % 32) < 1.2)
    image[edge] = (118, 116, 108)
    return np.asarray(np.minimum(image * light[..., None], 245.0))


def room_door() -> Floats:
    """A dark steel door with horizontal ribs and a yellow seam."""
    across, down = _grid(ROOM)
    image = np.empty((tx.SIZE, tx.SIZE, 3))
    image[:] = (74, 80, 88)
    image += (4.0 * _noise(8, 8))[..., None]
    image[down % 16 < 2] = (44, 48, 54)
    image[down % 16 > 14] = (104, 112, 120)
    image[np.abs(across - 64) < 3] = (30, 32, 36)
    image[(np.abs(across - 64) > 5) & (np.abs(across - 64) < 9)] = (176, 138, 6)
    return image


def ground() -> Floats:
    """Natlab's sandy soil, for views from above."""
    tone = 1.0 + 0.10 * _noise(9, 8) + 0.06 * _noise(10, 32)
    return np.asarray(np.array([108.0, 86.0, 64.0]) * tone[..., None])


# World units that a texture covers, by atlas number; it is 100 for all others.
SIZES: dict[int, float] = {
    tx.WATER: WATER,
    tx.POOL_WALL: POOL,
    tx.DEFERRED_WALL: ROOM,
    tx.DEFERRED_FLOOR: CEILING,
    tx.DEFERRED_CEILING: CEILING,
    tx.DEFERRED_DOOR: ROOM,
    **{tx.POOL_PICTURES + k: POOL for k in range(8)},
}


def textures() -> dict[int, Floats]:
    """Draw all surfaces of the levels without a maze; maps atlas numbers to images (SIZE, SIZE, 3)."""
    images = {
        tx.WATER: water(),
        tx.POOL_WALL: pool_wall(),
        tx.DEFERRED_WALL: room_wall(),
        tx.DEFERRED_FLOOR: room_floor(),
        tx.DEFERRED_CEILING: room_ceiling(),
        tx.DEFERRED_DOOR: room_door(),
        tx.TERRAIN: ground(),
    }
    return images | {tx.POOL_PICTURES + k: pool_picture(k) for k in range(8)}
