"""Moving to a place: turning in small looks, straight walks, paths over seen cells, and getting unstuck."""

import numpy as np

from flexlam_rl.agents.experts.scripted import memory as mem
from flexlam_rl.agents.experts.scripted.sight import TURN, col_of, row_of
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.rng import below, normal, uniform

SMALL = 4.224  # degrees of a small look, and of a fast one
FAST = 25.344
HULL = 17.0
UNREACHED = 65535
NEAR_X, NEAR_Y = 56.0, 44.0  # distance of a planned way from unwanted items, a little more than their boxes
_DR = (0, -1, 0, 1)
_DC = (1, 0, -1, 0)


@kernel
def wrap(degrees):
    """Wrap an angle to -180..180."""
    return (degrees + 180.0) % 360.0 - 180.0


@kernel
def bearing(w, x, y):
    """Return the degrees by which the player must turn left to face a point."""
    p = w.players[0]
    return wrap(np.degrees(np.arctan2(y - p.pos[1], x - p.pos[0]) - p.yaw * TURN))


@kernel
def turn(error):
    """Choose the look on the spot that reduces an error of `error` degrees (left is positive)."""
    if abs(error) > 0.6 * FAST:
        return mem.LEFT_FAST if error > 0.0 else mem.RIGHT_FAST
    return mem.LEFT if error > 0.0 else mem.RIGHT


@kernel
def steer(error):
    """Choose the action that walks towards `error` degrees to the left: it turns on the spot if that lies behind, else
    while walking.

    Below 30 degrees, several small looks turn the view, as a person would do.
    """
    a = abs(error)
    if a > 75.0:
        return mem.LEFT_FAST if error > 0.0 else mem.RIGHT_FAST
    if a > 30.0:
        return mem.FORWARD_LEFT_FAST if error > 0.0 else mem.FORWARD_RIGHT_FAST
    if a > 0.6 * SMALL:
        return mem.FORWARD_LEFT if error > 0.0 else mem.FORWARD_RIGHT
    return mem.FORWARD


@kernel
def level_view(w):
    """Choose an action that brings the view back to the horizon, or -1 if it is there."""
    pitch = w.players[0].pitch * TURN * (180.0 / np.pi)
    if pitch > 0.7 * SMALL:
        return mem.UP
    if pitch < -0.7 * SMALL:
        return mem.DOWN
    return -1


@kernel
def noisy(w, m, action):
    """Return `action`, now and then a random one, or a way out for a player that has not moved for a while."""
    p = w.players[0]
    moved = abs(p.pos[0] - m.last_x) + abs(p.pos[1] - m.last_y)
    m.last_x = p.pos[0]
    m.last_y = p.pos[1]
    walks = action == mem.FORWARD or (action >= mem.FORWARD_LEFT and action <= mem.FORWARD_RIGHT_FAST)
    m.still = m.still + 1 if walks and moved < 2.0 else 0
    if m.escape > 0:
        m.escape -= 1
        return int(m.escape_action)
    if m.still > 6:
        m.still = 0
        m.escape = 3 + below(m, 5)
        choices = (mem.STRAFE_LEFT, mem.STRAFE_RIGHT, mem.BACKWARD, mem.FORWARD_LEFT_FAST, mem.FORWARD_RIGHT_FAST)
        m.escape_action = choices[below(m, 5)]
    if m.temperature > 0.0 and uniform(m) < 0.03 * m.temperature:
        return below(m, 14)
    return action


@kernel
def jitter(m):
    """Draw the noise of an aim, in degrees."""
    return normal(m) * 1.5 * m.temperature if m.temperature > 0.0 else 0.0


@kernel
def unwanted(w, m, x, y, avoid, near_x, near_y):
    """Return whether (x, y) lies within (near_x, near_y) of an item in `avoid`, which holds one flag per item."""
    for k in range(w.item_count):
        if avoid[k] == 1 and m.there[k] == 1:
            it = w.items[k]
            if abs(x - it.pos[0]) < near_x and abs(y - it.pos[1]) < near_y:
                return True
    return False


@kernel
def straight(w, m, x0, y0, x1, y1, avoid):
    """Return whether the player can walk straight from one point to another over seen free cells without touching
    unwanted items.
    """
    d = np.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2)
    n = int(d / 12.0) + 1
    for i in range(1, n + 1):
        x, y = x0 + (x1 - x0) * i / n, y0 + (y1 - y0) * i / n
        for corner in range(4):
            r = row_of(w, y + (HULL if corner & 1 else -HULL))
            c = col_of(x + (HULL if corner & 2 else -HULL))
            if m.seen[r, c] != mem.FREE:
                return False
        if unwanted(w, m, x, y, avoid, NEAR_X, NEAR_Y):
            return False
    return True


@kernel
def flood(w, m, avoid, dist, back):
    """Fill `dist` with the steps from the player's cell over seen free cells, and `back` with the cell from which each
    was reached (row * 64 + col).
    """
    p = w.players[0]
    dist[: w.rows, : w.cols] = UNREACHED
    r, c = row_of(w, p.pos[1]), col_of(p.pos[0])
    queue = np.empty(s.MAX_CELLS * s.MAX_CELLS, np.int32)
    queue[0] = r * s.MAX_CELLS + c
    dist[r, c] = 0
    back[r, c] = -1
    head, tail = 0, 1
    while head < tail:
        r, c = queue[head] // s.MAX_CELLS, queue[head] % s.MAX_CELLS
        head += 1
        for side in range(4):
            rr, cc = r + _DR[side], c + _DC[side]
            if (
                rr < 0
                or cc < 0
                or rr >= w.rows
                or cc >= w.cols
                or dist[rr, cc] != UNREACHED
                or m.seen[rr, cc] != mem.FREE
            ):
                continue
            if unwanted(w, m, (cc + 0.5) * s.CELL, (w.rows - rr - 0.5) * s.CELL, avoid, NEAR_X, NEAR_Y):
                continue
            dist[rr, cc] = dist[r, c] + 1
            back[rr, cc] = r * s.MAX_CELLS + c
            queue[tail] = rr * s.MAX_CELLS + cc
            tail += 1


@kernel
def way_to(w, m, row, col, x, y, avoid, back):
    """Return the point to walk to next on the way to (x, y) in a reached cell: the farthest point of the way that the
    player can walk to straight.
    """
    p = w.players[0]
    if straight(w, m, p.pos[0], p.pos[1], x, y, avoid):
        return x, y
    at = row * s.MAX_CELLS + col
    cx, cy = x, y
    steps = 0
    while at >= 0 and steps < s.MAX_CELLS * s.MAX_CELLS:
        r, c = at // s.MAX_CELLS, at % s.MAX_CELLS
        before = back[r, c]
        if before < 0:
            break
        cx, cy = (c + 0.5) * s.CELL, (w.rows - r - 0.5) * s.CELL
        if straight(w, m, p.pos[0], p.pos[1], cx, cy, avoid):
            return cx, cy
        at = before
        steps += 1
    return cx, cy
