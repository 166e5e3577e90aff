"""Walking by conventions: walk to where the view is deepest, finish a turn once begun, step aside from obstacles."""

import numpy as np

from flexlam_rl.agents.experts.reactive.view import MIDDLE, angle, deeper_left, look
from flexlam_rl.agents.experts.scripted import memory as mem
from flexlam_rl.agents.experts.scripted.sight import RAYS
from flexlam_rl.agents.experts.scripted.walk import steer
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.rng import below, uniform

BLOCKED_AT = 80.0  # distance of a wall ahead from which the player turns away
STUCK = 3  # steps of walking in vain before steps aside
ASIDE = 4  # number of steps aside


@kernel
def deepest(w, m):
    """Steer to where the view is deepest; in front of a wall, turn fast to that side until the way is free."""
    depth = np.empty(RAYS)
    look(w, depth)
    best = np.argmax(depth)
    if depth[MIDDLE] < BLOCKED_AT:
        if m.turns > 0:
            return int(m.last)
        return mem.LEFT_FAST if best < MIDDLE else mem.RIGHT_FAST
    return steer(angle(best))


@kernel
def feel(w, m):
    """Count the steps in which walking did not move the player."""
    p = w.players[0]
    moved = abs(p.pos[0] - m.last_x) + abs(p.pos[1] - m.last_y)
    m.last_x = p.pos[0]
    m.last_y = p.pos[1]
    walked = m.last == mem.FORWARD or (m.last >= mem.FORWARD_LEFT and m.last <= mem.FORWARD_RIGHT_FAST)
    m.still = m.still + 1 if walked and moved < 2.0 else 0


@kernel
def unstuck(w, m, action):
    """Return `action`, or a step to the deeper side if the player is stuck, or now and then a random one."""
    if 0 < m.asides < ASIDE:
        return int(m.last)
    if m.still >= STUCK:
        return mem.STRAFE_LEFT if deeper_left(w) else mem.STRAFE_RIGHT
    if m.temperature > 0.0 and uniform(m) < 0.03 * m.temperature:
        return below(m, 14)
    return action
