"""Reactive experts of the levels without a maze: natlab's terrain, the deferred-effects rooms and the water maze."""

import numpy as np

from flexlam_rl.agents.experts.scripted import memory as mem
from flexlam_rl.agents.experts.scripted.rooms import DOOR_FAR, DOOR_NEAR, NATLAB_VIEW, around, nearest
from flexlam_rl.agents.experts.scripted.sight import see_items
from flexlam_rl.agents.experts.scripted.walk import bearing, level_view, steer, wrap
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel

_MIDDLE_1, _MIDDLE_2 = 30.0, 760.0  # x of the middles of the deferred-effects rooms
_AT_MIDDLE = 120.0
_AWAY = 4  # number of fast turns away from what stopped a walk
_SLOW = 100.0  # speed below which something stops the walk

# The water maze's spiral leads out from the middle; at the rim, the player goes back to the middle.
_RIM, _INWARD, _HUB = 560.0, 500.0, 45.0
_LEAD = 35.0  # units by which the aim lies further inward, because the path lags behind the view
_OFF = 9.0  # degrees off the spiral beyond which a fast look corrects


@kernel
def deferred(w, m):
    """Take cakes if the floor is bright, else apples; with none in view go to the room's middle and turn left."""
    see_items(w, m, 2000.0)
    action = level_view(w)
    if action >= 0:
        return action
    p = w.players[0]
    cakes = w.bright > 0.5
    want = np.zeros(s.MAX_ITEMS, np.uint8)
    avoid = np.zeros(s.MAX_ITEMS, np.uint8)
    for k in range(w.item_count):
        look = w.items[k].look
        if (look == s.LOOK_CAKE) if cakes else (look == s.LOOK_APPLE):
            want[k] = 1
        else:
            avoid[k] = 1
    if cakes and p.pos[0] < DOOR_FAR:
        if p.pos[0] < DOOR_NEAR and abs(p.pos[1]) > 30.0:
            x, y = DOOR_NEAR, 0.0  # line up with the doorway
        else:
            x, y = DOOR_FAR + 60.0, 0.0
        return steer(around(w, m, x, y, avoid))
    k = nearest(w, m, want)
    if k >= 0:
        return steer(around(w, m, w.items[k].pos[0], w.items[k].pos[1], avoid))
    x = _MIDDLE_2 if cakes else _MIDDLE_1
    if np.hypot(x - p.pos[0], p.pos[1]) < _AT_MIDDLE:
        return mem.LEFT_FAST
    return steer(around(w, m, x, 0.0, avoid))


@kernel
def natlab(w, m):
    """Gather what is in view; else walk straight on, and turn left where something stops the walk."""
    see_items(w, m, NATLAB_VIEW)
    action = level_view(w)
    if action >= 0:
        return action
    k = nearest(w, m, np.ones(s.MAX_ITEMS, np.uint8))
    if k >= 0:
        return steer(bearing(w, w.items[k].pos[0], w.items[k].pos[1]))
    p = w.players[0]
    stopped = m.last == mem.FORWARD and np.hypot(p.vel[0], p.vel[1]) < _SLOW
    if stopped or 0 < m.turns < _AWAY:
        return mem.LEFT_FAST
    return mem.FORWARD


@kernel
def watermaze(w, m):
    """Swim to the middle of the pool, then in a left-handed spiral to the rim, and again, by position and heading."""
    action = level_view(w)
    if action >= 0:
        return action
    if w.platform_up == 1:
        return mem.LEFT  # the platform is found: the player is held there until the next start
    p = w.players[0]
    r = np.hypot(p.pos[0], p.pos[1])
    middle = bearing(w, 0.0, 0.0)
    if r > _RIM or (r > _INWARD and abs(middle) < 60.0) or (r > _HUB and abs(middle) < 35.0):
        return steer(middle)
    error = wrap(middle - 90.0 + np.degrees(np.arctan2(_LEAD, r)))
    if _OFF < abs(error) < 75.0:
        return mem.FORWARD_LEFT_FAST if error > 0.0 else mem.FORWARD_RIGHT_FAST
    return steer(error)
