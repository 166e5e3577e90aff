"""Rules of rooms_watermaze (reference A6.10, timing from the recordings): find a platform hidden under the water.

A player who steps on it is held at its center while it rises. It gives +1 five times, one engine second apart, and one
second later the map restarts with the player in another place. The platform stays the same for the whole episode.
"""

import numpy as np

from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels.rooms_geometry import PLATFORM_APOTHEM, POOL_FLOOR, raise_platform, water_maze
from flexlam_rl.envs.litelab.pose import place
from flexlam_rl.envs.litelab.rng import below, uniform
from flexlam_rl.envs.litelab.textures import SKY_POOL

PLACEMENT_RADIUS = 580.0
START_Z = 40.125
HULL = 15.0
# Four of the eight spawn points occur in the recordings; the others mirror them.
SPAWNS = (
    (712.0, 0.0), (504.0, 488.0), (0.0, 720.0), (-488.0, 488.0), (-720.0, 0.0), (-488.0, -504.0), (0.0, -712.0), (504.0, -504.0),
)  # fmt: skip

REWARDS = 5
FIRST_REWARD_MS = 240  # time after the touch
REWARD_EVERY_MS = 1000
FIRST_PULL_MS = 50  # time of the first pull to the center, which also stops the player
PULL_EVERY_MS = 100
RISE_MS = 128  # time until the platform rises
RISE_SPEED = 0.51  # units per engine ms
RISE = 78.0  # units by which it lifts the player
OVERSHOOT = 9.0  # the player is thrown up a little
OVERSHOOT_MS = 100.0


@kernel
def begin(w):
    """Begin an episode: hide the platform, uniformly over a disc."""
    r = PLACEMENT_RADIUS * np.sqrt(uniform(w))
    angle = uniform(w) * 2.0 * np.pi
    w.platform[0] = r * np.cos(angle)
    w.platform[1] = r * np.sin(angle)


@kernel
def restart(w):
    """Sink the platform and put the player at a random point of the rim."""
    w.sky = SKY_POOL
    water_maze(w)
    w.map_over = 0
    w.platform_up = 0
    w.platform_ms = 0
    w.picked = 0
    k = below(w, len(SPAWNS))
    place(w, w.players[0], SPAWNS[k][0], SPAWNS[k][1], START_Z, below(w, 65536))


@kernel
def on_platform(w, p):
    """Whether a player's hull overlaps the platform's octagon."""
    dx = max(abs(p.pos[0] - w.platform[0]) - HULL, 0.0)
    dy = max(abs(p.pos[1] - w.platform[1]) - HULL, 0.0)
    return (
        dx <= PLATFORM_APOTHEM
        and dy <= PLATFORM_APOTHEM
        and dx + dy <= PLATFORM_APOTHEM * np.sqrt(2.0)
        and p.pos[2] <= START_Z + 16.0
    )


@kernel
def lift(ms):
    """Height by which the platform has lifted the player, `ms` after the touch."""
    t = ms - RISE_MS
    if t <= 0:
        return 0.0
    up = RISE_SPEED * t
    if up <= RISE:
        return up
    x = 2.0 * (t - RISE / RISE_SPEED) / OVERSHOOT_MS - 1.0
    return RISE + max(OVERSHOOT * (1.0 - x * x), 0.0)


@kernel
def _hold(w, p, before):
    """Pull the held player to the center at each tick of the script, and lift it."""
    if w.platform_ms >= FIRST_PULL_MS and (
        before < FIRST_PULL_MS
        or (w.platform_ms - FIRST_PULL_MS) // PULL_EVERY_MS > (before - FIRST_PULL_MS) // PULL_EVERY_MS
    ):
        p.pos[0] = w.platform[0]
        p.pos[1] = w.platform[1]
        p.vel[:] = 0.0
    raise_platform(w, POOL_FLOOR + lift(w.platform_ms))
    height = START_Z + lift(w.platform_ms)
    if p.pos[2] < height:
        p.pos[2] = height
        p.vel[2] = 0.0
        p.on_ground = 1


@kernel
def tick(w):
    """Play one frame."""
    p = w.players[0]
    if w.platform_up == 0:
        if on_platform(w, p):
            w.platform_up = 1
            w.platform_ms = 0
        return
    before = w.platform_ms
    w.platform_ms += w.dt_ms
    _hold(w, p, before)
    if w.platform_ms >= FIRST_REWARD_MS + w.picked * REWARD_EVERY_MS:
        if w.picked < REWARDS:
            w.reward += 1.0
            w.picked += 1
        else:
            w.map_over = 1
