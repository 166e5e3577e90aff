"""The opponents of lasertag (reference A6.6), which look for enemies and items, chase, strafe in fights, and aim with
errors.

A bot acts with the same seven numbers as the agent and moves by the same physics. `act` can also play the agent itself,
as an opponent of equal skill.
"""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.collide import line_of_sight
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.rng import below, normal, uniform

# By skill row: Cygni, Leonis, Epsilon.
REACTION_MS = (1000, 1250, 1750)
MACHINEGUN_ACCURACY = (0.7, 0.9, 0.5)
OTHER_ACCURACY = 0.75
CAMPER = (0.3, 0.5, 0.5)
SKILLS = 3

TURN_PER_MS = 0.24 / 0.1056  # look units: 240 degrees per second
THINK_MS = 100
# Not in the tables: chosen so that a wandering player lives about as long as the recorded ones, and an opponent of
# equal skill scores about half of what people do (benchmarks/rules_balance.py).
TURN_GAIN = 0.1  # share of the remaining angle turned per frame
AIM_CHANGE_MS = 600  # mean time between changes of the aim error
AIM_ERROR = 0.3  # radians at accuracy 0
TRIGGER_HELD = 0.55  # share of a fight in which the trigger is held
FIRE_CONE = 0.14  # radians between view and enemy within which a bot shoots
ALERT_MS = 500  # an enemy that was out of sight for less than this is shot at without a reaction time
FORGET_MS = 3000  # a bot chases an enemy that is out of sight for this long
GOAL_MS = 6000
NEAR_SIGHT = 100.0  # within this distance, a bot sees in all directions
SIGHT_COS = 0.34  # farther away, it sees within 70 degrees of its view axis
KEEP_FAR, KEEP_NEAR = 220.0, 110.0  # distance kept in a fight
NEED_HEALTH = 80
UNREACHED = 65535
HOP_CHANCE = 0.06  # chance of a jump per decision in a fight

_DR = np.array([0, -1, 0, 1])
_DC = np.array([1, 0, -1, 0])


@kernel
def reset(w, k):
    """Reset bot `k` at a spawn."""
    p = w.players[k]
    p.skill = (k - 1) % SKILLS if k > 0 else 0
    p.enemy = -1
    p.sees_ms = 0
    p.lost_ms = 0
    p.hurt_by = -1
    p.think_ms = below(w, THINK_MS)
    p.rest_ms = 0
    p.aim_ms = 0
    p.goal_ms = 0
    p.goal_item = -1
    p.target[0] = -1
    p.target[1] = -1
    p.strafe = 1
    p.strafe_ms = 0
    p.hop = 0
    p.shoot = 0
    p.aim[:] = 0.0


@kernel
def cell_of(w, p):
    """(row, col) of the maze cell in which a player stands."""
    return int(w.rows - 1 - np.floor(p.pos[1] / s.CELL)), int(np.floor(p.pos[0] / s.CELL))


@kernel
def flood(w, dist, row, col):
    """Write the number of steps from (row, col) to each cell into `dist`; UNREACHED if there is no way."""
    for r in range(w.rows):
        for c in range(w.cols):
            dist[r, c] = UNREACHED
    if row < 0 or col < 0 or row >= w.rows or col >= w.cols or w.cell[row, col] == s.WALL:
        return
    queue = np.empty(w.rows * w.cols, np.int32)
    queue[0] = row * w.cols + col
    dist[row, col] = 0
    head, tail = 0, 1
    while head < tail:
        r, c = queue[head] // w.cols, queue[head] % w.cols
        head += 1
        for side in range(4):
            rr, cc = r + _DR[side], c + _DC[side]
            if 0 <= rr < w.rows and 0 <= cc < w.cols and dist[rr, cc] == UNREACHED and w.cell[rr, cc] != s.WALL:
                dist[rr, cc] = dist[r, c] + 1
                queue[tail] = rr * w.cols + cc
                tail += 1


@kernel
def _visible(w, k, j):
    """Whether bot `k` sees player `j`, who must be near or in its field of view, with nothing in between."""
    p, q = w.players[k], w.players[j]
    if q.alive == 0:
        return False
    dx, dy = q.pos[0] - p.pos[0], q.pos[1] - p.pos[1]
    far = np.sqrt(dx * dx + dy * dy)
    if far > NEAR_SIGHT and p.hurt_by != j and p.enemy != j:
        a = p.yaw * (2.0 * np.pi / 65536.0)
        if dx * np.cos(a) + dy * np.sin(a) < SIGHT_COS * far:
            return False
    return line_of_sight(w, p.pos[0], p.pos[1], p.pos[2] + p.view_height, q.pos[0], q.pos[1], q.pos[2] + q.view_height)


@kernel
def _set_target(w, p, row, col):
    if p.target[0] != row or p.target[1] != col:
        p.target[0] = row
        p.target[1] = col
        flood(w, p.dist, row, col)


@kernel
def _desire(p, it):
    """Score of how much a bot wants an item."""
    if it.kind == s.WEAPON:
        return 3.0 if p.ammo[it.group] == 0 else 0.3
    if it.kind == s.HEALTH:
        return 5.0 if p.health < NEED_HEALTH else 0.0
    if it.kind == s.ARMOR:
        return 2.0 if p.armor < 50 else 0.2
    return 0.0


@kernel
def _choose_goal(w, k):
    """Choose the item with the best ratio of desire and distance as the target, else a random open cell."""
    p = w.players[k]
    row, col = cell_of(w, p)
    flood(w, p.dist, row, col)
    best = 0.15 * uniform(w)
    p.goal_item = -1
    for i in range(w.item_count):
        it = w.items[i]
        steps = p.dist[it.cell[0], it.cell[1]]
        if it.active == 0 or steps == UNREACHED:
            continue
        value = _desire(p, it) / (steps + 4.0) * (0.5 + uniform(w))
        if value > best:
            best = value
            p.goal_item = i
    p.target[0] = -1
    if p.goal_item >= 0:
        it = w.items[p.goal_item]
        _set_target(w, p, it.cell[0], it.cell[1])
    else:
        for _ in range(50):
            r, c = below(w, w.rows), below(w, w.cols)
            if p.dist[r, c] != UNREACHED and p.dist[r, c] > 2:
                _set_target(w, p, r, c)
                break
    p.goal_ms = GOAL_MS


@kernel
def _choose_enemy(w, k):
    """Keep an enemy that is visible, else take the nearest visible one, else remember the last one for a while."""
    p = w.players[k]
    if p.enemy >= 0 and w.players[p.enemy].alive == 0:
        p.enemy = -1
        p.goal_ms = 0
    seen = -1
    nearest = 1e9
    for j in range(w.player_count):
        if j == k or not _visible(w, k, j):
            continue
        q = w.players[j]
        far = np.hypot(q.pos[0] - p.pos[0], q.pos[1] - p.pos[1])
        if j == p.enemy:
            far *= 0.7
        if far < nearest:
            nearest = far
            seen = j
    if seen >= 0:
        if p.lost_ms > ALERT_MS:
            p.sees_ms = 0
        p.enemy = seen
        p.sees_ms += THINK_MS
        p.lost_ms = 0
    elif p.enemy < 0:
        p.sees_ms = 0
    else:
        p.lost_ms += THINK_MS
        if p.lost_ms > FORGET_MS:
            p.enemy = -1
            p.goal_ms = 0
            p.sees_ms = 0


@kernel
def _choose_weapon(p, far):
    """The best weapon with rounds for a distance: no rockets at close range, lightning only within its reach."""
    p.weapon = s.GAUNTLET
    if p.ammo[s.MACHINEGUN] > 0:
        p.weapon = s.MACHINEGUN
    if p.ammo[s.RAILGUN] > 0:
        p.weapon = s.RAILGUN
    if p.ammo[s.ROCKET] > 0 and far > 150.0:
        p.weapon = s.ROCKET
    if p.ammo[s.LIGHTNING] > 0 and far < 700.0:
        p.weapon = s.LIGHTNING


@kernel
def _think(w, k):
    """Decide on enemy, target and weapon; called ten times per second."""
    p = w.players[k]
    _choose_enemy(w, k)
    p.hop = 0
    if p.enemy >= 0:
        q = w.players[p.enemy]
        p.rest_ms = 0
        row, col = cell_of(w, q)
        if p.lost_ms < 1500:
            _set_target(w, p, row, col)
        if p.sees_ms > 0 and p.lost_ms == 0:
            _choose_weapon(p, np.hypot(q.pos[0] - p.pos[0], q.pos[1] - p.pos[1]))
            if uniform(w) < HOP_CHANCE:
                p.hop = 1
        return
    p.hurt_by = -1
    if p.rest_ms > 0:
        return
    row, col = cell_of(w, p)
    arrived = row == p.target[0] and col == p.target[1]
    gone = p.goal_item >= 0 and w.items[p.goal_item].active == 0
    if p.goal_ms <= 0 or arrived or gone or p.target[0] < 0 or p.dist[row, col] == UNREACHED:
        if arrived and uniform(w) < CAMPER[p.skill] * 0.5:
            p.rest_ms = 1000 + below(w, 2000)
            p.goal_ms = 0
            return
        _choose_goal(w, k)


@kernel
def _wrap(angle):
    return angle - 2.0 * np.pi * np.floor((angle + np.pi) / (2.0 * np.pi))


@kernel
def _look(w, p, yaw, pitch, command):
    """Turn towards a direction, in radians, within a bot's limit of speed."""
    unit = 0.1056 * np.pi / 180.0
    most = TURN_PER_MS * w.dt_ms
    dyaw = _wrap(yaw - p.yaw * (2.0 * np.pi / 65536.0)) / unit * TURN_GAIN
    dpitch = (pitch - p.pitch * (2.0 * np.pi / 65536.0)) / unit * TURN_GAIN
    command[0] = -int(np.rint(min(max(dyaw, -most), most)))
    command[1] = int(np.rint(min(max(dpitch, -most), most)))


@kernel
def _walk(p, dx, dy, command):
    """Set the move buttons to the nearest of eight directions to (dx, dy)."""
    angle = _wrap(np.arctan2(dy, dx) - p.yaw * (2.0 * np.pi / 65536.0))
    octant = int(np.rint(angle / (np.pi / 4.0)))
    command[3] = 1 if abs(octant) <= 1 else (-1 if abs(octant) >= 3 else 0)
    command[2] = 0 if octant == 0 or abs(octant) == 4 else (-1 if octant > 0 else 1)


@kernel
def _follow(w, p, command):
    """Walk one cell down the distance field and return the direction; (0, 0) at the target."""
    row, col = cell_of(w, p)
    if p.target[0] < 0 or row < 0 or col < 0 or row >= w.rows or col >= w.cols:
        return 0.0, 0.0  # without a target, the distances are left from an earlier life or episode
    best = p.dist[row, col]
    if best == UNREACHED or best == 0:
        return 0.0, 0.0
    to_r, to_c = row, col
    for side in range(4):
        rr, cc = row + _DR[side], col + _DC[side]
        if 0 <= rr < w.rows and 0 <= cc < w.cols and p.dist[rr, cc] < best:
            best = p.dist[rr, cc]
            to_r, to_c = rr, cc
    dx = to_c * s.CELL + 0.5 * s.CELL - p.pos[0]
    dy = (w.rows - 1 - to_r) * s.CELL + 0.5 * s.CELL - p.pos[1]
    _walk(p, dx, dy, command)
    return dx, dy


@kernel
def _fight(w, k, command):
    """Strafe around a visible enemy, aim at it, and shoot once the reaction time is over."""
    p = w.players[k]
    q = w.players[p.enemy]
    dx, dy = q.pos[0] - p.pos[0], q.pos[1] - p.pos[1]
    far = max(np.sqrt(dx * dx + dy * dy), 1.0)
    dz = q.pos[2] - (p.pos[2] + p.view_height)
    p.aim_ms -= w.dt_ms
    if p.aim_ms <= 0:
        p.aim_ms = int(AIM_CHANGE_MS * (0.5 + uniform(w)))
        accuracy = MACHINEGUN_ACCURACY[p.skill] if p.weapon == s.MACHINEGUN else OTHER_ACCURACY
        p.shoot = 1 if uniform(w) < TRIGGER_HELD else 0
        p.aim[0] = normal(w) * AIM_ERROR * (1.0 - accuracy)
        p.aim[1] = normal(w) * AIM_ERROR * (1.0 - accuracy) * 0.5
    lead = far / 900.0 if p.weapon == s.ROCKET else 0.0
    yaw = np.arctan2(dy + q.vel[1] * lead, dx + q.vel[0] * lead)
    _look(w, p, yaw + p.aim[0], -np.arctan2(dz, far) + p.aim[1], command)
    p.strafe_ms -= w.dt_ms
    if p.strafe_ms <= 0:
        p.strafe_ms = 400 + below(w, 800)
        p.strafe = -p.strafe if uniform(w) < 0.6 else p.strafe
    command[2] = p.strafe
    command[3] = 1 if far > KEEP_FAR or p.weapon == s.GAUNTLET else (-1 if far < KEEP_NEAR else 0)
    command[5] = p.hop
    off = abs(_wrap(yaw - p.yaw * (2.0 * np.pi / 65536.0)))
    # sees_ms already includes one decision's time at first sight
    if p.sees_ms - THINK_MS >= REACTION_MS[p.skill] and off < FIRE_CONE + 15.0 / far:
        command[4] = p.shoot


@kernel
def walk_on(w, p, command):
    """Walk and look down the distance field in p.dist."""
    dx, dy = _follow(w, p, command)
    if dx != 0.0 or dy != 0.0:
        _look(w, p, np.arctan2(dy, dx), 0.0, command)


@kernel
def act(w, k, command):
    """Write player `k`'s action for this frame into `command` (7 ints, a native action)."""
    p = w.players[k]
    command[:] = 0
    if p.alive == 0:
        command[4] = 1  # the trigger brings a tagged player back as soon as possible
        return
    p.think_ms -= w.dt_ms
    p.goal_ms -= w.dt_ms
    p.rest_ms -= w.dt_ms
    if p.think_ms <= 0:
        p.think_ms += THINK_MS
        _think(w, k)
    if p.enemy >= 0 and p.sees_ms > 0 and p.lost_ms == 0 and w.players[p.enemy].alive == 1:
        _fight(w, k, command)
        return
    if p.rest_ms > 0:
        command[0] = 10 * p.strafe
        return
    walk_on(w, p, command)
