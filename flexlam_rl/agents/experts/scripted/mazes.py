"""Experts of the levels with a text maze: they explore until they know something worth going to, then go there."""

import numpy as np

from flexlam_rl.agents.experts.scripted import memory as mem
from flexlam_rl.agents.experts.scripted.sight import FAR, TURN, col_of, in_view, row_of, see_cells, see_items
from flexlam_rl.agents.experts.scripted.walk import (
    UNREACHED,
    bearing,
    flood,
    jitter,
    level_view,
    noisy,
    steer,
    turn,
    way_to,
    wrap,
)
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels import language
from flexlam_rl.envs.litelab.rng import below

_DR = (0, -1, 0, 1)
_DC = (1, 0, -1, 0)
_NEAR_COLOR, _NEAR_SHAPE = 2, 3  # indices in w.words


@kernel
def _turn_cost(w, x, y):
    """Return the cost of turning towards a point, in cells."""
    return abs(bearing(w, x, y)) / 90.0


@kernel
def at_unseen(w, m, r, c):
    """Return whether a cell has an unseen one beside it."""
    for side in range(4):
        rr, cc = r + _DR[side], c + _DC[side]
        if 0 <= rr < w.rows and 0 <= cc < w.cols and m.seen[rr, cc] == mem.UNKNOWN:
            return True
    return False


@kernel
def _frontier(w, m, dist):
    """Find the nearest seen free cell beside an unseen one, (row, col), or (-1, -1)."""
    best, row, col = 1e9, -1, -1
    for r in range(w.rows):
        for c in range(w.cols):
            if dist[r, c] != UNREACHED and at_unseen(w, m, r, c):
                cost = dist[r, c] + _turn_cost(w, (c + 0.5) * s.CELL, (w.rows - r - 0.5) * s.CELL)
                if cost < best:
                    best, row, col = cost, r, c
    return row, col


@kernel
def _stalest(w, m, dist):
    """Find the reachable cell that was not visited for the longest time; near cells are preferred."""
    best, row, col = -1e9, -1, -1
    for r in range(w.rows):
        for c in range(w.cols):
            if dist[r, c] != UNREACHED and dist[r, c] > 0:
                age = 10000 if m.visited[r, c] < 0 else w.frame - m.visited[r, c]
                worth = min(age, 3600) / 60.0 - dist[r, c]
                if worth > best:
                    best, row, col = worth, r, c
    return row, col


@kernel
def _in_room(w, m, k):
    """Count the seen items in the room of item k."""
    count = 0
    letter = w.variation[w.items[k].cell[0], w.items[k].cell[1]]
    for j in range(w.item_count):
        if m.known[j] == 1 and w.variation[w.items[j].cell[0], w.items[j].cell[1]] == letter:
            count += 1
    return count


@kernel
def appraise(w, m, want, avoid):
    """Fill `want` with the worth of each known item, and `avoid` with the items that must not be touched."""
    learned = 0
    for g in range(w.categories):
        if m.value[g] > 0:
            learned += 1
    for k in range(w.item_count):
        it = w.items[k]
        want[k] = 0.0
        avoid[k] = 0
        if m.there[k] == 0:
            continue
        if w.family == s.LANGUAGE:
            # "near" can be judged once both objects of a room have been seen
            sure = (w.words[_NEAR_COLOR] < 0 and w.words[_NEAR_SHAPE] < 0) or _in_room(w, m, k) > 1
            if it.group == language.TARGET and sure:
                want[k] = 1.0
            else:
                avoid[k] = 1
        elif w.categories > 0:
            if m.value[it.group] > 0:
                want[k] = 1.0
            elif m.value[it.group] < 0 or learned >= w.good_categories:
                avoid[k] = 1
            else:
                want[k] = 0.2  # reward not known yet: try it when nothing better is known
        elif w.family == s.LASERTAG:
            p = w.players[0]
            if (
                (it.kind == s.WEAPON and p.ammo[it.group] == 0)
                or (it.kind == s.HEALTH and p.health < 80)
                or (it.kind == s.ARMOR and p.armor < 50)
            ):
                want[k] = 1.0
        else:
            want[k] = 1.0


@kernel
def choose_item(w, m, want, dist):
    """Choose the wanted item with the best worth for its distance, or -1."""
    best, chosen = 1e9, -1
    for k in range(w.item_count):
        if want[k] > 0.0:
            it = w.items[k]
            r, c = row_of(w, it.pos[1]), col_of(it.pos[0])
            if dist[r, c] != UNREACHED:
                cost = dist[r, c] + _turn_cost(w, it.pos[0], it.pos[1]) + 30.0 * (1.0 - want[k])
                if cost < best:
                    best, chosen = cost, k
    return chosen


@kernel
def fight(w, m):
    """Aim and fire at an opponent in view; -1 if there is none."""
    best, chosen = 1e9, -1
    for k in range(1, w.player_count):
        q = w.players[k]
        if q.alive == 1 and in_view(w, q.pos[0], q.pos[1], q.pos[2] + q.view_height, FAR):
            d = np.hypot(q.pos[0] - w.players[0].pos[0], q.pos[1] - w.players[0].pos[1])
            if d < best:
                best, chosen = d, k
    if chosen < 0:
        return -1
    p, q = w.players[0], w.players[chosen]
    m.enemy_x, m.enemy_y, m.enemy_frame, m.enemy_at = q.pos[0], q.pos[1], w.frame, m.step
    # lead by the frames of one step
    x, y = q.pos[0] + q.vel[0] * 0.032, q.pos[1] + q.vel[1] * 0.032
    error = bearing(w, x, y) + jitter(m)
    width = np.degrees(np.arctan2(15.0, best))
    if abs(error) > max(0.55 * 4.224, width):
        return turn(error)
    rise = np.degrees(np.arctan2(p.pos[2] + p.view_height - q.pos[2] - 4.0, best)) - p.pitch * TURN * (180.0 / np.pi)
    if abs(rise) > max(0.55 * 4.224, np.degrees(np.arctan2(24.0, best))):
        return mem.DOWN if rise > 0.0 else mem.UP
    return mem.FIRE


@kernel
def decide(w, m):
    """Choose the next action in a maze."""
    if w.players[0].alive == 0:
        return mem.FIRE  # respawns as soon as it may
    see_cells(w, m)
    see_items(w, m, FAR)
    if w.family == s.LASERTAG:
        action = fight(w, m)
        if action >= 0:
            m.still = 0
            return action
    action = level_view(w)
    if action >= 0:
        return action
    want = np.zeros(s.MAX_ITEMS)
    avoid = np.zeros(s.MAX_ITEMS, np.uint8)
    appraise(w, m, want, avoid)
    dist = np.empty((s.MAX_CELLS, s.MAX_CELLS), np.uint16)
    back = np.empty((s.MAX_CELLS, s.MAX_CELLS), np.int32)
    flood(w, m, avoid, dist, back)
    k = choose_item(w, m, want, dist)
    if k >= 0:
        x, y = w.items[k].pos[0], w.items[k].pos[1]
        row, col = row_of(w, y), col_of(x)
    else:
        row, col = -1, -1
        if w.family == s.LASERTAG and w.frame - m.enemy_frame < 600:
            row, col = row_of(w, m.enemy_y), col_of(m.enemy_x)
            if dist[row, col] == UNREACHED or dist[row, col] == 0:
                m.enemy_frame = -100000
                row = -1
        if row < 0:
            row, col = _frontier(w, m, dist)
        if row >= 0 and dist[row, col] == 0:
            # the unseen cell lies beside the player: look around
            return noisy(w, m, mem.LEFT_FAST)
        if row < 0:
            # every cell has been seen, but something was overlooked: patrol, near and long unvisited cells first
            row, col = _stalest(w, m, dist)
        if row < 0:
            return noisy(w, m, below(m, 14))
        x, y = (col + 0.5) * s.CELL, (w.rows - row - 0.5) * s.CELL
    tx, ty = way_to(w, m, row, col, x, y, avoid, back)
    return noisy(w, m, steer(wrap(bearing(w, tx, ty) + jitter(m))))
