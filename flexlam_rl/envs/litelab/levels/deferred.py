"""Rules of rooms_exploit_deferred_effects_train (reference A6.9): ten pickups end the episode, so the cakes are the
better choice.

An episode has one of three configurations: apples and a box in one room; apples in it and cakes behind a closed door;
the same with the door open and the floor bright. The box costs 3 and brightens the floor, which opens the door in the
test level.
"""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.items import add_item, take
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels.rooms_geometry import deferred_rooms
from flexlam_rl.envs.litelab.pose import place
from flexlam_rl.envs.litelab.rng import below, shuffle

# Configurations (w.variant).
ONE_ROOM, DOOR_CLOSED, DOOR_OPEN = range(3)
APPLE_REWARD = 1
BOX_REWARD = -3
CAKE_REWARD = 10
PICKUPS = 10  # pickups that end the episode
END_MS = 200  # time from the last pickup to the end

GRID = 5  # places per side of a room
SPACING = 120.0
ROOM_1 = (-208.0, -240.0)
ROOM_2 = (520.0, -240.0)
ITEM_Z = 15.125  # placed at 24 and dropped to the floor at 0, with a radius of 15
START_Z = 24.125


@kernel
def begin(w):
    """Begin an episode: draw the configuration."""
    w.variant = below(w, 3)
    w.picked = 0
    w.end_ms = -1
    w.bright = 1.0 if w.variant == DOOR_OPEN else 0.0
    deferred_rooms(w, w.variant != ONE_ROOM, w.variant == DOOR_OPEN)


@kernel
def _add(w, kind, look, corner, slot, reward):
    add_item(w, kind, look, corner[0] + SPACING * (slot % GRID), corner[1] + SPACING * (slot // GRID), ITEM_Z, reward)


@kernel
def restart(w):
    """Scatter items and player over the grids of the rooms."""
    w.map_over = 0
    w.item_count = 0
    slots = np.arange(GRID * GRID)
    shuffle(w, slots, GRID * GRID)
    for i in range(PICKUPS):
        _add(w, s.REWARD, s.LOOK_APPLE, ROOM_1, slots[i], APPLE_REWARD)
    if w.variant == ONE_ROOM:
        _add(w, s.BOX, s.LOOK_BOX, ROOM_1, slots[PICKUPS], BOX_REWARD)
    start = slots[PICKUPS + 1]
    if w.variant != ONE_ROOM:
        shuffle(w, slots, GRID * GRID)
        for i in range(PICKUPS):
            _add(w, s.REWARD, s.LOOK_CAKE, ROOM_2, slots[i], CAKE_REWARD)
    place(
        w,
        w.players[0],
        ROOM_1[0] + SPACING * (start % GRID),
        ROOM_1[1] + SPACING * (start // GRID),
        START_Z,
        below(w, 65536),
    )


@kernel
def tick(w, item):
    """Play one frame; `item` is the touched item or -1."""
    if item >= 0 and w.picked < PICKUPS:
        w.reward += w.items[item].reward
        if w.items[item].kind == s.BOX:
            w.bright = 1.0
        take(w, item)
        w.picked += 1
        if w.picked == PICKUPS:
            w.end_ms = w.map_ms + END_MS
    if w.end_ms >= 0 and w.map_ms >= w.end_ms:
        w.episode_over = 1
