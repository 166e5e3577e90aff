"""Rules of natlab_varying_map_regrowth (reference A6.7): gather mushrooms on a terrain; each grows again after about a
minute.

Each episode draws one of 100 maps. A map is a seed of the terrain, mushrooms, waiting times, spawn points and sky, so
it is the same in all episodes that draw it.
"""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab import terrain
from flexlam_rl.envs.litelab.items import add_item
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels.rooms_geometry import natlab_border, solid_post
from flexlam_rl.envs.litelab.pose import place
from flexlam_rl.envs.litelab.rng import below, between, mix, normal, uniform

MAPS = 100
SIZE = 2048.0  # side of the playing field
MARGIN = 80.0  # nothing grows closer to the border
MUSHROOMS_MIN, MUSHROOMS_MAX = 5, 27
MUSHROOMS_MEAN, MUSHROOMS_SD = 17.7, 4.5
CLUSTERED = 0.15  # share of mushrooms that grow beside another one
NEAR_MIN, NEAR_MAX = 32.0, 220.0
APART = 180.0  # least distance between clusters
SPAWN_APART = 220.0  # least distance between mushrooms and spawn points
WAIT_MIN_MS, WAIT_MAX_MS = 48000, 72000
MUSHROOM_ABOVE = 12.0  # height of a mushroom's origin above the ground
# Rocks, bushes and cacti: number, range of the radius, range of the height. They keep away from mushrooms and spawns.
PLANTS = ((14, 16.0, 40.0, 16.0, 44.0), (14, 30.0, 56.0, 50.0, 110.0), (26, 10.0, 16.0, 70.0, 190.0))
PLANT_APART = 70.0
GROVE = 0.5  # share of plants that stand near another one
GROVE_NEAR, GROVE_FAR = 70.0, 260.0
SINK = 8.0  # solids reach this far below the ground at their center
START_ABOVE = 24.25  # height of the player's origin that puts its feet on the ground, whatever the slope
# Shares of the skies: 9 of 19 maps are at night, 6 by day and 4 at dawn.
NIGHT, DAY, DAWN = range(3)
SKIES = (9, 6, 4)


@kernel
def _nearest(w, x, y):
    """Distance to the nearest mushroom placed so far."""
    best = 1e9
    for k in range(w.item_count):
        dx = w.items[k].pos[0] - x
        dy = w.items[k].pos[1] - y
        best = min(best, np.sqrt(dx * dx + dy * dy))
    return best


@kernel
def _nearest_spawn(w, x, y):
    """Distance to the nearest spawn point."""
    best = 1e9
    for k in range(spawn_points(w)):
        sx, sy = spawn_point(w, k)
        best = min(best, np.sqrt((sx - x) ** 2 + (sy - y) ** 2))
    return best


@kernel
def _place_mushroom(w):
    """Draw a place for a mushroom, either beside another one or away from all."""
    for _ in range(200):
        if w.item_count > 0 and uniform(w) < CLUSTERED:
            other = w.items[below(w, w.item_count)]
            angle = uniform(w) * 2.0 * np.pi
            r = NEAR_MIN + uniform(w) * (NEAR_MAX - NEAR_MIN)
            x = other.pos[0] + r * np.cos(angle)
            y = other.pos[1] + r * np.sin(angle)
            least = NEAR_MIN
        else:
            x = uniform(w) * SIZE
            y = uniform(w) * SIZE
            least = APART
        if (
            MARGIN <= x <= SIZE - MARGIN
            and MARGIN <= y <= SIZE - MARGIN
            and _nearest(w, x, y) >= least
            and _nearest_spawn(w, x, y) >= SPAWN_APART
        ):
            k = add_item(w, s.REWARD, s.LOOK_MUSHROOM, x, y, terrain.height(w, x, y) + MUSHROOM_ABOVE, 1)
            w.items[k].bob = 0
            w.items[k].wait_ms = between(w, WAIT_MIN_MS, WAIT_MAX_MS)
            return


@kernel
def _plant_fits(w, x, y, apart):
    """Whether a plant keeps its distance from the border, mushrooms, spawn points and other plants."""
    if x < MARGIN or x > SIZE - MARGIN or y < MARGIN or y > SIZE - MARGIN or _nearest(w, x, y) < apart:
        return False
    if _nearest_spawn(w, x, y) < apart:
        return False
    for k in range(w.plant_count):
        q = w.plants[k]
        if (q.pos[0] - x) ** 2 + (q.pos[1] - y) ** 2 < (0.7 * apart) ** 2:
            return False
    return True


@kernel
def _grow_plants(w):
    """Place rocks, bushes and cacti, many of them in groves."""
    w.plant_count = 0
    for kind in range(len(PLANTS)):
        count, radius_from, radius_to, height_from, height_to = PLANTS[kind]
        for _ in range(count):
            size = uniform(w)
            radius = radius_from + size * (radius_to - radius_from)
            for _try in range(50):
                if w.plant_count > 0 and uniform(w) < GROVE:
                    other = w.plants[below(w, w.plant_count)]
                    angle = uniform(w) * 2.0 * np.pi
                    r = GROVE_NEAR + uniform(w) * (GROVE_FAR - GROVE_NEAR)
                    x, y = other.pos[0] + r * np.cos(angle), other.pos[1] + r * np.sin(angle)
                else:
                    x, y = uniform(w) * SIZE, uniform(w) * SIZE
                if not _plant_fits(w, x, y, PLANT_APART + radius):
                    continue
                p = w.plants[w.plant_count]
                w.plant_count += 1
                p.pos[0] = x
                p.pos[1] = y
                p.pos[2] = terrain.height(w, x, y)
                p.kind = kind
                p.radius = radius
                p.height = height_from + size * (height_to - height_from)
                p.turn = uniform(w) * 2.0 * np.pi
                if kind != s.BUSH:
                    solid_post(w, x, y, radius, p.pos[2] - SINK, p.pos[2] + p.height)
                break


@kernel
def draw_map(w, number):
    """Lay out map `number`, 0..99, without advancing the world's random stream."""
    stream = w.rng
    w.terrain_seed = mix(np.uint64(number) + np.uint64(0x6E61746C6162))
    terrain.build(w)
    natlab_border(w)
    w.rng = w.terrain_seed
    k = below(w, SKIES[0] + SKIES[1] + SKIES[2])
    w.sky = NIGHT if k < SKIES[0] else (DAY if k < SKIES[0] + SKIES[1] else DAWN)
    w.item_count = 0
    count = int(np.round(MUSHROOMS_MEAN + MUSHROOMS_SD * normal(w)))
    for _ in range(min(max(count, MUSHROOMS_MIN), MUSHROOMS_MAX)):
        _place_mushroom(w)
    _grow_plants(w)
    w.rng = stream


@kernel
def begin(w):
    """Begin an episode: draw one of the maps."""
    w.variant = below(w, MAPS)
    draw_map(w, w.variant)


@kernel
def spawn_point(w, k):
    """(x, y) of the map's spawn point `k`."""
    h = mix(w.terrain_seed + np.uint64(1 + k))
    inner = SIZE - 2.0 * MARGIN
    x = MARGIN + inner * float(h >> np.uint64(40)) / 16777216.0
    y = MARGIN + inner * float((h >> np.uint64(16)) & np.uint64(0xFFFFFF)) / 16777216.0
    return x, y


@kernel
def spawn_points(w):
    """Number of spawn points of the map, 9 or 10."""
    return 9 + int(w.terrain_seed & np.uint64(1))


@kernel
def restart(w):
    """Put the player at a random spawn point."""
    w.map_over = 0
    x, y = spawn_point(w, below(w, spawn_points(w)))
    place(w, w.players[0], x, y, terrain.height(w, x, y) + START_ABOVE, below(w, 65536))


@kernel
def touch(w, item):
    """Eat a mushroom; it grows again after its own waiting time plus a random extra of up to half of it."""
    it = w.items[item]
    w.reward += it.reward
    it.active = 0
    it.respawn_at = w.map_ms + it.wait_ms + int(uniform(w) * 0.5 * it.wait_ms)
