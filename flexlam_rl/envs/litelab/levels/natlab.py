"""Rules of natlab_varying_map_regrowth (reference A6.7): gather mushrooms on a terrain; each grows again after about a minute.

There are 100 maps; which one is drawn anew for each episode. A map is a seed of the terrain, with its own mushrooms, waits, spawn
points and sky, so that it is the same in every episode that draws it.
"""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab import terrain
from flexlam_rl.envs.litelab.items import add_item
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels.rooms_geometry import natlab_border
from flexlam_rl.envs.litelab.physics import place
from flexlam_rl.envs.litelab.rng import below, between, mix, normal, uniform

MAPS = 100
SIZE = 2048.0  # side of the playing field
MARGIN = 80.0  # nothing grows nearer to the border
MUSHROOMS_MIN, MUSHROOMS_MAX = 5, 27
MUSHROOMS_MEAN, MUSHROOMS_SD = 17.7, 4.5
CLUSTERED = 0.15  # share that grows beside another one
NEAR_MIN, NEAR_MAX = 32.0, 220.0
APART = 180.0  # between clusters, at least
WAIT_MIN_MS, WAIT_MAX_MS = 48000, 72000
MUSHROOM_ABOVE = 12.0  # origin of a mushroom above the ground
START_ABOVE = 24.125 + 8.0
# Of 19 maps, 9 are at night, 6 by day and 4 at dawn.
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
def _place_mushroom(w):
    """Draw a place: beside another mushroom, or away from all."""
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
        if MARGIN <= x <= SIZE - MARGIN and MARGIN <= y <= SIZE - MARGIN and _nearest(w, x, y) >= least:
            k = add_item(w, s.REWARD, s.LOOK_MUSHROOM, x, y, terrain.height(w, x, y) + MUSHROOM_ABOVE, 1)
            w.items[k].bob = 0
            w.items[k].wait_ms = between(w, WAIT_MIN_MS, WAIT_MAX_MS)
            return


@kernel
def draw_map(w, number):
    """Lay out map `number` of 0..99; leaves the world's random stream as it was."""
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
    w.rng = stream


@kernel
def begin(w):
    """Start of an episode: draw one of the maps."""
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
    """How many spawn points the map has: 9 or 10."""
    return 9 + int(w.terrain_seed & np.uint64(1))


@kernel
def restart(w):
    """Put the player at a random spawn point."""
    w.map_over = 0
    x, y = spawn_point(w, below(w, spawn_points(w)))
    place(w, w.players[0], x, y, terrain.height(w, x, y) + START_ABOVE, below(w, 65536))


@kernel
def touch(w, item):
    """Eat a mushroom; it grows again after its own wait and a random part of up to half as much."""
    it = w.items[item]
    w.reward += it.reward
    it.active = 0
    it.respawn_at = w.map_ms + it.wait_ms + int(uniform(w) * 0.5 * it.wait_ms)
