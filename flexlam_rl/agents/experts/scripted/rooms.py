"""Experts of the levels without a maze: natlab's terrain, the deferred-effects rooms and the water maze."""

import numpy as np

from flexlam_rl.agents.experts.scripted import memory as mem
from flexlam_rl.agents.experts.scripted.sight import see_items
from flexlam_rl.agents.experts.scripted.walk import bearing, jitter, level_view, noisy, steer, unwanted, wrap
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.rng import below, uniform

# The doorway between the deferred-effects rooms (reference A6.9).
DOOR_NEAR, DOOR_FAR = 250.0, 470.0
POOL = 600.0  # radius in which a platform may lie
REACH = 70.0  # how near the player's path must come to a point to search it
NEAR_X, NEAR_Y = 58.0, 46.0  # wider than on a planned way: these experts walk freely and look 20 units ahead at a time
NATLAB_VIEW = 1000.0
NATLAB_SIZE = 2048.0


@kernel
def around(w, m, x, y, avoid):
    """Return the bearing nearest to that of (x, y) along which the next steps touch nothing unwanted."""
    p = w.players[0]
    ahead = np.arctan2(y - p.pos[1], x - p.pos[0])
    far = min(np.hypot(x - p.pos[0], y - p.pos[1]), 160.0)
    inside = unwanted(w, m, p.pos[0], p.pos[1], avoid, NEAR_X, NEAR_Y)
    for i in range(9):
        for sign in range(2):
            a = ahead + np.radians(15.0 * i) * (1.0 if sign == 0 else -1.0)
            free = True
            d = 20.0
            while d <= far and free and not inside:
                free = not unwanted(w, m, p.pos[0] + d * np.cos(a), p.pos[1] + d * np.sin(a), avoid, NEAR_X, NEAR_Y)
                d += 20.0
            if free:
                return bearing(w, p.pos[0] + 100.0 * np.cos(a), p.pos[1] + 100.0 * np.sin(a))
    return bearing(w, x, y)


@kernel
def nearest(w, m, want):
    """Choose the wanted known item that needs the least walking and turning, or -1."""
    p = w.players[0]
    best, chosen = 1e9, -1
    for k in range(w.item_count):
        if want[k] == 1 and m.there[k] == 1:
            it = w.items[k]
            cost = np.hypot(it.pos[0] - p.pos[0], it.pos[1] - p.pos[1]) + 1.1 * abs(bearing(w, it.pos[0], it.pos[1]))
            if cost < best:
                best, chosen = cost, k
    return chosen


@kernel
def deferred(w, m):
    """Take the ten pickups that end the episode: with a bright floor the cakes behind the open door, else apples."""
    action = level_view(w)
    see_items(w, m, 2000.0)
    if action >= 0:
        return action
    p = w.players[0]
    cakes = w.bright > 0.5  # the bright floor is in view from the first moment
    want = np.zeros(s.MAX_ITEMS, np.uint8)
    avoid = np.zeros(s.MAX_ITEMS, np.uint8)
    for k in range(w.item_count):
        look = w.items[k].look
        if (look == s.LOOK_CAKE) if cakes else (look == s.LOOK_APPLE):
            want[k] = 1
        else:
            avoid[k] = 1
    if cakes and p.pos[0] < DOOR_FAR:
        # line up with the doorway, then go through
        if p.pos[0] < DOOR_NEAR and abs(p.pos[1]) > 30.0:
            x, y = DOOR_NEAR, 0.0
        else:
            x, y = DOOR_FAR + 60.0, 0.0
        return noisy(w, m, steer(wrap(around(w, m, x, y, avoid) + jitter(m))))
    k = nearest(w, m, want)
    if k < 0:
        m.look_around += 1
        if m.look_around % 40 < 15:
            return noisy(w, m, mem.LEFT_FAST)
        # nothing in view: walk across the middle of the room
        return noisy(w, m, steer(wrap(around(w, m, 760.0 if cakes else 30.0, 0.0, avoid) + jitter(m))))
    m.look_around = 0
    it = w.items[k]
    return noisy(w, m, steer(wrap(around(w, m, it.pos[0], it.pos[1], avoid) + jitter(m))))


@kernel
def natlab(w, m):
    """Gather what is in view; else walk on, turn away from the border, and take a new direction after a while."""
    action = level_view(w)
    see_items(w, m, NATLAB_VIEW)
    if action >= 0:
        return action
    p = w.players[0]
    want = np.ones(s.MAX_ITEMS, np.uint8)
    k = nearest(w, m, want)
    if k >= 0:
        it = w.items[k]
        if m.still > 5:
            m.there[k] = 0  # out of reach: something stands in the way
        return noisy(w, m, steer(wrap(bearing(w, it.pos[0], it.pos[1]) + jitter(m))))
    x, y = p.pos[0] + 300.0 * np.cos(m.heading), p.pos[1] + 300.0 * np.sin(m.heading)
    out = x < 0.0 or y < 0.0 or x > NATLAB_SIZE or y > NATLAB_SIZE
    if out or m.still > 4 or uniform(m) < 0.004:
        m.heading = uniform(m) * 2.0 * np.pi
    # looks to both sides while walking
    sway = 30.0 * np.sin(w.frame * 0.02)
    return noisy(w, m, steer(wrap(bearing(w, x, y) + sway + jitter(m))))


@kernel
def watermaze(w, m):
    """Sweep the pool until the platform is found; from then on walk straight to it."""
    p = w.players[0]
    action = level_view(w)
    if w.platform_up == 1:
        m.platform_known = 1
        m.platform_at = m.step
        m.platform[0] = p.pos[0]
        m.platform[1] = p.pos[1]
        return action if action >= 0 else noisy(w, m, mem.LEFT if below(m, 2) == 0 else mem.RIGHT)
    if action >= 0:
        return action
    if m.platform_known == 1:
        return noisy(w, m, steer(wrap(bearing(w, m.platform[0], m.platform[1]) + jitter(m))))
    best, x, y = 1e9, 0.0, 0.0
    for i in range(mem.COVER):
        for j in range(mem.COVER):
            if m.covered[i, j] == 0:
                px, py = (2.0 * i / (mem.COVER - 1) - 1.0) * POOL, (2.0 * j / (mem.COVER - 1) - 1.0) * POOL
                d = np.hypot(px - p.pos[0], py - p.pos[1])
                if d < REACH or px * px + py * py > POOL * POOL:
                    m.covered[i, j] = 1
                    m.covered_at[i, j] = m.step
                    continue
                cost = d + 1.0 * abs(bearing(w, px, py))
                if cost < best:
                    best, x, y = cost, px, py
    if best > 1e8:
        m.covered[:] = 0
    return noisy(w, m, steer(wrap(bearing(w, x, y) + jitter(m))))
