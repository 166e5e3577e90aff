"""Rules of lasertag (reference A6.6): a new maze each episode, bots to tag, weapons and pickups, respawns.

Tagging another player gives +1, tagging oneself -1, and being tagged 0. There are no teams.
"""

import numpy as np

from flexlam_rl.envs.litelab import bots, maze
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.collide import BOTTOM, CLEAR, HALF, trace
from flexlam_rl.envs.litelab.items import add_item, take, touched_item
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels.theme import draw_theme
from flexlam_rl.envs.litelab.physics import HULL_TOP, move
from flexlam_rl.envs.litelab.pose import place
from flexlam_rl.envs.litelab.rng import below
from flexlam_rl.envs.litelab.weapons import (
    RESPAWNED,
    decay,
    equip,
    move_missiles,
    take_armor,
    take_health,
    take_weapon,
    trigger,
)

BLANK, SPAWN, WEAPON_LETTER, PICKUP_LETTER = (ord(c) for c in " Pwu")
WEAPON_WAIT_MS = 5000
HEALTH_WAIT_MS = 35000
ARMOR_WAIT_MS = 25000
HEALTH_POINTS = 50
ARMOR_POINTS = 50
ITEM_Z = 16.125  # as in the explore levels
START_Z = 25.125
RESPAWN_Z = START_Z + 9.0  # height from which a respawn drops the player
RESPAWN_MS = 1700  # from this time on, the trigger brings a tagged player back
FORCED_MS = RESPAWN_MS + 20000  # time of a respawn without the trigger; recorded players waited 20.9 s
WIDTH = 30.0  # width of a hull


@kernel
def begin(w):
    """Begin an episode: draw a new maze with weapon and pickup cells, and the bots' color."""
    if w.given_maze == 0:
        maze.generate(w, BLANK)
        maze.scatter(w, WEAPON_LETTER, w.weapon_count)
        maze.scatter(w, PICKUP_LETTER, w.pickup_count)
    else:
        maze.set_cells(w)
    draw_theme(w)
    w.bot_hue = below(w, 360)
    w.player_count = 1 + w.bot_count
    for k in range(w.player_count):
        w.players[k].score = 0


@kernel
def _place_items(w):
    w.item_count = 0
    for r in range(w.rows):
        for c in range(w.cols):
            letter = w.letter[r, c]
            if (letter != WEAPON_LETTER and letter != PICKUP_LETTER) or w.item_count >= s.MAX_ITEMS:
                continue
            x, y = c * s.CELL + 0.5 * s.CELL, (w.rows - 1 - r) * s.CELL + 0.5 * s.CELL
            if letter == WEAPON_LETTER:
                weapon = s.ROCKET + below(w, 3)
                k = add_item(w, s.WEAPON, s.LOOK_ROCKET + weapon - s.ROCKET, x, y, ITEM_Z, 0)
                w.items[k].group = weapon
                w.items[k].wait_ms = WEAPON_WAIT_MS
            elif below(w, 2) == 0:
                k = add_item(w, s.HEALTH, s.LOOK_HEALTH, x, y, ITEM_Z, 0)
                w.items[k].wait_ms = HEALTH_WAIT_MS
            else:
                k = add_item(w, s.ARMOR, s.LOOK_ARMOR, x, y, ITEM_Z, 0)
                w.items[k].wait_ms = ARMOR_WAIT_MS
            w.items[k].cell[0] = r
            w.items[k].cell[1] = c


@kernel
def _blocked(w, k, x, y):
    """Whether the hull of player `k` at (x, y) would overlap another living player."""
    for j in range(w.player_count):
        q = w.players[j]
        if j != k and q.alive == 1 and abs(q.pos[0] - x) < WIDTH and abs(q.pos[1] - y) < WIDTH:
            return True
    return False


@kernel
def spawn(w, k, z):
    """Put player `k` into a random free spawn cell, or into any one if all are taken."""
    chosen_x = 1.5 * s.CELL
    chosen_y = 1.5 * s.CELL
    for allow_blocked in range(2):
        found = 0
        for r in range(w.rows):
            for c in range(w.cols):
                if w.letter[r, c] != SPAWN:
                    continue
                x, y = c * s.CELL + 0.5 * s.CELL, (w.rows - 1 - r) * s.CELL + 0.5 * s.CELL
                if allow_blocked == 0 and _blocked(w, k, x, y):
                    continue
                found += 1
                if below(w, found) == 0:  # a uniform choice in one pass
                    chosen_x = x
                    chosen_y = y
        if found > 0:
            break
    p = w.players[k]
    place(w, p, chosen_x, chosen_y, z, below(w, 65536))
    equip(p)
    p.spawn_yaw = p.yaw
    bots.reset(w, k)


@kernel
def restart(w):
    """(Re)start the map: place the items, and all players at spawn points."""
    w.map_over = 0
    _place_items(w)
    for k in range(w.player_count):
        w.players[k].alive = 0
    for k in range(w.player_count):
        spawn(w, k, START_Z)


@kernel
def touch(w, k, item):
    """Handle the touch of an item by player `k`, who takes it if it is of use."""
    it = w.items[item]
    p = w.players[k]
    if it.kind == s.WEAPON:
        take_weapon(p, it.group)
        take(w, item)
    elif it.kind == s.HEALTH:
        if take_health(p, HEALTH_POINTS):
            take(w, item)
    elif it.kind == s.ARMOR and take_armor(p, ARMOR_POINTS):
        take(w, item)


@kernel
def _move_around_others(w, k, action):
    """Move player `k`; if that leads into another player, keep only the x or y part of the move if it is free."""
    p = w.players[k]
    x, y = p.pos[0], p.pos[1]
    was_blocked = _blocked(w, k, x, y)
    move(w, p, action[0], action[1], action[2], action[3], action[5], action[6])
    if was_blocked or not _blocked(w, k, p.pos[0], p.pos[1]):
        return
    new_x, new_y, z = p.pos[0], p.pos[1], p.pos[2]
    for part in range(2):
        to_x = new_x if part == 0 else x
        to_y = y if part == 0 else new_y
        fraction, _, _, _, solid = trace(w, x, y, z, to_x, to_y, z, HALF, BOTTOM, HULL_TOP)
        if fraction == 1.0 and solid == CLEAR and not _blocked(w, k, to_x, to_y):
            p.pos[0] = to_x
            p.pos[1] = to_y
            p.vel[1 - part] = 0.0
            return
    p.pos[0] = x
    p.pos[1] = y
    p.vel[0] = 0.0
    p.vel[1] = 0.0


@kernel
def _dead(w, k, fire):
    """Let a tagged player wait: after RESPAWN_MS the trigger brings it back, after FORCED_MS it comes back by itself."""
    p = w.players[k]
    p.dead_ms += w.dt_ms
    if (p.dead_ms >= RESPAWN_MS and fire == 1) or p.dead_ms >= FORCED_MS:
        spawn(w, k, RESPAWN_Z)
        p.fire_held = RESPAWNED


@kernel
def tick(w, action):
    """Play one frame of all players; `action` is the agent's."""
    command = np.zeros(7, np.int64)
    for k in range(w.player_count):
        p = w.players[k]
        if k == 0:
            for i in range(7):
                command[i] = action[i]
        else:
            bots.act(w, k, command)
        if p.alive == 0:
            _dead(w, k, command[4])
            continue
        _move_around_others(w, k, command)
        item = touched_item(w, p)
        if item >= 0:
            touch(w, k, item)
        decay(w, p)
        trigger(w, k, command[4])
    move_missiles(w)
