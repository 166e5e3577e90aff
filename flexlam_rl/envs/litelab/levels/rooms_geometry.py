"""Solids and visible walls of the levels without a maze: deferred-effects rooms, water maze, psychlab's pillar,
natlab's border.

Sizes were measured on the recordings, from contacts with walls, floors and ceilings (reference A6.8 to A6.10).
"""

import numpy as np

from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.textures import DEFERRED_DOOR, DEFERRED_WALL, POOL_PICTURES, POOL_WALL

THICK = 64.0  # thickness of walls and floors, outwards

# Deferred effects. Two rooms side by side, a passage between them.
ROOM_HEIGHT = 80.0
ROOM_1_WEST, ROOM_1_EAST = -272.0, 336.0
ROOM_2_WEST, ROOM_2_EAST = 456.0, 1064.0
ROOM_NORTH = 272.0
PASSAGE_HALF = 64.0
DOOR_EAST = 344.0

# Water maze. Three kinds of walls: facing an axis, facing a diagonal, and those in between (angle from the closer
# axis).
POOL_AXIS = 760.0
POOL_DIAGONAL = 1074.0 * np.sqrt(0.5)
POOL_BETWEEN = 760.848
POOL_BETWEEN_ANGLE = np.deg2rad(22.494)
POOL_FLOOR = 16.0  # the water carries the player
POOL_HEIGHT = 192.0
POOL_SIDES = 16
PLATFORM_APOTHEM = 64.0
PLATFORM_BRUSH = POOL_SIDES + 1  # number of the platform in w.brushes

FIELD = 2048.0  # side of natlab's field


@kernel
def _box(w, x0, y0, z0, x1, y1, z1):
    """Append a box to the brushes and return its number."""
    k = w.brush_count
    w.brush_count += 1
    b = w.brushes[k]
    b.active = 1
    b.sides = 0
    b.lo[0] = x0
    b.lo[1] = y0
    b.lo[2] = z0
    b.hi[0] = x1
    b.hi[1] = y1
    b.hi[2] = z1
    return k


@kernel
def _plane(w, k, nx, ny, d):
    """Cut brush `k` with an upright plane, keeping n.x <= d."""
    b = w.brushes[k]
    b.normal[b.sides, 0] = nx
    b.normal[b.sides, 1] = ny
    b.normal[b.sides, 2] = 0.0
    b.dist[b.sides] = d
    b.sides += 1


@kernel
def _wall(w, x0, y0, x1, y1, z1, texture):
    """Append a wall that is visible from the left of the line from (x0, y0) to (x1, y1)."""
    g = w.segments[w.segment_count]
    w.segment_count += 1
    g.x0 = x0
    g.y0 = y0
    g.x1 = x1
    g.y1 = y1
    g.z0 = 0.0
    g.z1 = z1
    g.texture = texture
    g.picture = 0
    g.active = 1


@kernel
def clear(w):
    """Remove all brushes and segments."""
    w.brush_count = 0
    w.segment_count = 0


@kernel
def deferred_rooms(w, two_rooms, door_open):
    """Build the deferred-effects rooms: one room, or two with a passage whose door is open or closed."""
    clear(w)
    n = ROOM_NORTH
    east = ROOM_2_EAST if two_rooms else ROOM_1_EAST
    _box(w, ROOM_1_WEST - THICK, -n - THICK, -THICK, east + THICK, n + THICK, 0.0)
    _box(w, ROOM_1_WEST - THICK, -n - THICK, ROOM_HEIGHT, east + THICK, n + THICK, ROOM_HEIGHT + THICK)
    _box(w, ROOM_1_WEST - THICK, -n, 0.0, ROOM_1_WEST, n, ROOM_HEIGHT)
    _box(w, ROOM_1_WEST - THICK, n, 0.0, east + THICK, n + THICK, ROOM_HEIGHT)
    _box(w, ROOM_1_WEST - THICK, -n - THICK, 0.0, east + THICK, -n, ROOM_HEIGHT)
    _box(w, east, -n, 0.0, east + THICK, n, ROOM_HEIGHT)
    h = ROOM_HEIGHT
    t = DEFERRED_WALL
    _wall(w, ROOM_1_WEST, n, ROOM_1_WEST, -n, h, t)
    _wall(w, ROOM_1_WEST, -n, ROOM_1_EAST, -n, h, t)
    _wall(w, ROOM_1_EAST, n, ROOM_1_WEST, n, h, t)
    if not two_rooms:
        _wall(w, ROOM_1_EAST, -n, ROOM_1_EAST, n, h, t)
        return
    p = PASSAGE_HALF
    _box(w, ROOM_1_EAST, p, 0.0, ROOM_2_WEST, n, ROOM_HEIGHT)
    _box(w, ROOM_1_EAST, -n, 0.0, ROOM_2_WEST, -p, ROOM_HEIGHT)
    _wall(w, ROOM_1_EAST, -n, ROOM_1_EAST, -p, h, t)
    _wall(w, ROOM_1_EAST, p, ROOM_1_EAST, n, h, t)
    _wall(w, ROOM_1_EAST, -p, ROOM_2_WEST, -p, h, t)
    _wall(w, ROOM_2_WEST, p, ROOM_1_EAST, p, h, t)
    _wall(w, ROOM_2_WEST, -p, ROOM_2_WEST, -n, h, t)
    _wall(w, ROOM_2_WEST, n, ROOM_2_WEST, p, h, t)
    _wall(w, ROOM_2_WEST, -n, ROOM_2_EAST, -n, h, t)
    _wall(w, ROOM_2_EAST, -n, ROOM_2_EAST, n, h, t)
    _wall(w, ROOM_2_EAST, n, ROOM_2_WEST, n, h, t)
    if not door_open:
        _box(w, ROOM_1_EAST, -p, 0.0, DOOR_EAST, p, ROOM_HEIGHT)
        _wall(w, ROOM_1_EAST, -p, ROOM_1_EAST, p, h, DEFERRED_DOOR)
        _wall(w, DOOR_EAST, p, DOOR_EAST, -p, h, DEFERRED_DOOR)


@kernel
def pool_plane(k):
    """Plane (nx, ny, d) of the water maze's wall `k` of 16, counterclockwise from east; the pool is n.x <= d."""
    quarter = (k // 4) * 0.5 * np.pi
    part = k % 4
    if part == 0:
        angle, d = 0.0, POOL_AXIS
    elif part == 1:
        angle, d = POOL_BETWEEN_ANGLE, POOL_BETWEEN
    elif part == 2:
        angle, d = 0.25 * np.pi, POOL_DIAGONAL
    else:
        angle, d = 0.5 * np.pi - POOL_BETWEEN_ANGLE, POOL_BETWEEN
    return np.cos(quarter + angle), np.sin(quarter + angle), d


@kernel
def water_maze(w):
    """Build the round pool; the platform (brush PLATFORM_BRUSH) lies below the water until raise_platform."""
    clear(w)
    far = POOL_AXIS + THICK
    _box(w, -far, -far, POOL_FLOOR - THICK, far, far, POOL_FLOOR)
    for k in range(POOL_SIDES):
        nx, ny, d = pool_plane(k)
        bx, by, before = pool_plane((k + POOL_SIDES - 1) % POOL_SIDES)
        ax, ay, after = pool_plane((k + 1) % POOL_SIDES)
        # corners with the neighboring walls, inside and outside
        det = nx * by - ny * bx
        x0 = (d * by - ny * before) / det
        y0 = (nx * before - d * bx) / det
        det = nx * ay - ny * ax
        x1 = (d * ay - ny * after) / det
        y1 = (nx * after - d * ax) / det
        ox = nx * THICK
        oy = ny * THICK
        solid = _box(
            w,
            min(min(x0, x1), min(x0, x1) + ox),
            min(min(y0, y1), min(y0, y1) + oy),
            0.0,
            max(max(x0, x1), max(x0, x1) + ox),
            max(max(y0, y1), max(y0, y1) + oy),
            POOL_HEIGHT + THICK,
        )
        if k % 4 != 0:
            _plane(w, solid, -nx, -ny, -d)
            _plane(w, solid, nx, ny, d + THICK)
        if k % 2 == 1:
            _wall(w, x0, y0, x1, y1, POOL_HEIGHT, POOL_WALL)
            continue
        # every second wall has a square picture
        half = 0.5 * POOL_HEIGHT / np.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2)
        ax, ay = (0.5 + half) * x0 + (0.5 - half) * x1, (0.5 + half) * y0 + (0.5 - half) * y1
        bx, by = (0.5 - half) * x0 + (0.5 + half) * x1, (0.5 - half) * y0 + (0.5 + half) * y1
        _wall(w, x0, y0, ax, ay, POOL_HEIGHT, POOL_WALL)
        _wall(w, ax, ay, bx, by, POOL_HEIGHT, POOL_PICTURES + k // 2)
        _wall(w, bx, by, x1, y1, POOL_HEIGHT, POOL_WALL)
    _platform(w)


@kernel
def _platform(w):
    a = PLATFORM_APOTHEM
    x = w.platform[0]
    y = w.platform[1]
    k = _box(w, x - a, y - a, POOL_FLOOR - THICK, x + a, y + a, POOL_FLOOR)
    w.brushes[k].active = 0
    c = np.sqrt(0.5)
    for i in range(4):
        nx = c if i % 2 == 0 else -c
        ny = c if i < 2 else -c
        _plane(w, k, nx, ny, nx * x + ny * y + a)


@kernel
def raise_platform(w, top):
    """Raise the platform so that its top is at height `top`."""
    b = w.brushes[PLATFORM_BRUSH]
    b.active = 1
    b.hi[2] = top


@kernel
def psychlab_pillar(w):
    """Build the square pillar on which psychlab's player stands, who can only jump and crouch."""
    clear(w)
    _box(w, -32.0, -64.0, 0.0, 32.0, 0.0, 72.0)


@kernel
def natlab_border(w):
    """Build the invisible border of natlab's field."""
    clear(w)
    low = -1e4
    high = 1e4
    _box(w, -THICK, -THICK, low, 0.0, FIELD + THICK, high)
    _box(w, FIELD, -THICK, low, FIELD + THICK, FIELD + THICK, high)
    _box(w, -THICK, -THICK, low, FIELD + THICK, 0.0, high)
    _box(w, -THICK, FIELD, low, FIELD + THICK, FIELD + THICK, high)


@kernel
def solid_post(w, x, y, radius, z0, z1):
    """Build an eight-sided post around (x, y): a rock or the trunk of a cactus."""
    k = _box(w, x - radius, y - radius, z0, x + radius, y + radius, z1)
    c = np.sqrt(0.5)
    for i in range(4):
        nx = c if i % 2 == 0 else -c
        ny = c if i < 2 else -c
        _plane(w, k, nx, ny, nx * x + ny * y + radius)
