"""The depth of the view along the horizon, ray by ray."""

import numpy as np

from flexlam_rl.agents.experts.scripted.sight import HALF_VIEW, RAYS, TURN
from flexlam_rl.envs.litelab.collide import ray_hit
from flexlam_rl.envs.litelab.kernel import kernel

DEEPEST = 2000.0
MIDDLE = RAYS // 2
_DEGREES = np.degrees(HALF_VIEW)


@kernel
def angle(i):
    """Return the direction of ray `i` in degrees to the left; ray 0 is the leftmost."""
    return _DEGREES * (1.0 - 2.0 * i / (RAYS - 1))


@kernel
def look(w, depth):
    """Fill `depth` (RAYS) with the distances to the nearest obstacles, in world units."""
    p = w.players[0]
    for i in range(RAYS):
        a = p.yaw * TURN + np.radians(angle(i))
        depth[i] = ray_hit(w, p.pos[0], p.pos[1], p.pos[2] + p.view_height, np.cos(a), np.sin(a), 0.0, DEEPEST)


@kernel
def deeper_left(w):
    """Return whether the left half of the view is at least as deep as the right half."""
    depth = np.empty(RAYS)
    look(w, depth)
    return depth[:MIDDLE].sum() >= depth[MIDDLE + 1 :].sum()
