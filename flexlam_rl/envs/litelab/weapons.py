"""Weapons and damage (reference A6.6): ammunition, reload, hitscan, rockets, splash damage, knock-back, armor, tags,
decay of health.

In levels without opponents, `fire_only` plays the same shots. They give no reward, but change ammunition, health and
the picture.
"""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.collide import ray_hit
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.rng import uniform

# By weapon: gauntlet, machinegun, rocket launcher, lightning, railgun.
DAMAGE = (50, 7, 100, 8, 100)
RELOAD_MS = (400, 100, 800, 50, 1500)
RANGE = (32.0, 8192.0, 8192.0, 768.0, 8192.0)
PICKUP_AMMO = (0, 100, 10, 100, 10)  # rounds that come with a weapon
MACHINEGUN_SPREAD = 200.0 / 8192.0  # largest deviation per unit of range
EMPTY_MS = 500  # reload time of a weapon without rounds
ROCKET_SPEED = 900.0
SPLASH_DAMAGE = 100.0
SPLASH_RADIUS = 120.0
ROCKET_LIFE_MS = 15000
BURST_MS = 300  # time for which a rocket's burst is visible

START_HEALTH = 125
MAX_HEALTH = 100
MAX_ARMOR = 200
ARMOR_SHARE = 0.66  # share of the damage that armor absorbs
KNOCKBACK_SPEED = 5.0  # units per second per point of damage
KNOCKBACK_MAX = 200  # largest number of points of damage that count for the knock-back
DECAY_MS = 1000
FLASH_MS = 50
RESPAWNED = 2  # fire_held after a respawn: the trigger must be released before it shoots again
DEAD_VIEW_HEIGHT = -16.0
HULL = 15.0


@kernel
def equip(p):
    """Give a player the equipment of a spawn: 125 health, gauntlet, machinegun with 100 rounds."""
    p.alive = 1
    p.health = START_HEALTH
    p.armor = 0
    p.life_ms = 0
    p.decay_ms = 0
    p.dead_ms = 0
    p.weapon = s.MACHINEGUN
    p.owned[:] = 0
    p.owned[s.GAUNTLET] = 1
    p.owned[s.MACHINEGUN] = 1
    p.ammo[:] = 0
    p.ammo[s.GAUNTLET] = -1
    p.ammo[s.MACHINEGUN] = 100
    p.reload_ms = 0
    p.flash_ms = 0
    p.fire_held = 0


@kernel
def decay(w, p):
    """Lower health and armor above 100 by one per engine second."""
    p.decay_ms += w.dt_ms
    if p.decay_ms >= DECAY_MS:
        p.decay_ms -= DECAY_MS
        if p.health > MAX_HEALTH:
            p.health -= 1
        if p.armor > MAX_HEALTH:
            p.armor -= 1


@kernel
def best_weapon(p):
    """The weapon with the highest number that has rounds."""
    for weapon in range(s.RAILGUN, s.GAUNTLET, -1):
        if p.owned[weapon] == 1 and p.ammo[weapon] > 0:
            return weapon
    return s.GAUNTLET


@kernel
def aim_vector(yaw, pitch):
    """Unit vector of a view direction; angles are in 65536ths of a turn."""
    a = yaw * (2.0 * np.pi / 65536.0)
    b = pitch * (2.0 * np.pi / 65536.0)
    return np.cos(a) * np.cos(b), np.sin(a) * np.cos(b), -np.sin(b)


@kernel
def _box_distance(p, ox, oy, oz, dx, dy, dz):
    """Distance along a ray to a player's hull, or -1."""
    near = 0.0
    far = 1e30
    top = 16.0 if p.crouched == 1 else 32.0
    for axis in range(3):
        if axis == 0:
            o, d, lo, hi = ox, dx, p.pos[0] - HULL, p.pos[0] + HULL
        elif axis == 1:
            o, d, lo, hi = oy, dy, p.pos[1] - HULL, p.pos[1] + HULL
        else:
            o, d, lo, hi = oz, dz, p.pos[2] - 24.0, p.pos[2] + top
        if abs(d) < 1e-9:
            if o < lo or o > hi:
                return -1.0
        else:
            t0 = (lo - o) / d
            t1 = (hi - o) / d
            near = max(near, min(t0, t1))
            far = min(far, max(t0, t1))
    return near if near <= far else -1.0


@kernel
def nearest_player(w, ignored, skipped, ox, oy, oz, dx, dy, dz, limit):
    """Find the nearest living player on a ray: (number, distance), or (-1, limit). `skipped` is a bit mask of players."""
    best = -1
    distance = limit
    for k in range(w.player_count):
        if k == ignored or w.players[k].alive == 0 or (skipped >> k) & 1:
            continue
        t = _box_distance(w.players[k], ox, oy, oz, dx, dy, dz)
        if 0.0 <= t < distance:
            best = k
            distance = t
    return best, distance


@kernel
def _die(w, k, attacker):
    """Tag player `k`: its body is hidden, and the attacker gets a point, or loses one if it tagged itself."""
    p = w.players[k]
    p.alive = 0
    p.dead_ms = 0
    p.health = min(p.health, 0)
    p.vel[:] = 0.0
    p.spin[:] = 0.0
    p.flash_ms = 0
    p.view_height = DEAD_VIEW_HEIGHT
    p.dead_yaw = p.yaw
    p.yaw = p.spawn_yaw
    p.pitch = 0
    if attacker == k:
        p.score -= 1
        if k == 0:
            w.reward -= 1.0
        return
    other = w.players[attacker]
    p.dead_yaw = int(np.round(np.arctan2(other.pos[1] - p.pos[1], other.pos[0] - p.pos[0]) * (65536.0 / (2.0 * np.pi))))
    other.score += 1
    if attacker == 0:
        w.reward += 1.0


@kernel
def damage(w, k, attacker, points, dx, dy, dz):
    """Hurt player `k` with `points` of damage along the unit vector (dx, dy, dz): knock-back, armor, health, tag.

    Damage to oneself counts half.
    """
    p = w.players[k]
    if p.alive == 0:
        return
    push = min(points, KNOCKBACK_MAX)
    p.vel[0] += dx * push * KNOCKBACK_SPEED
    p.vel[1] += dy * push * KNOCKBACK_SPEED
    p.vel[2] += dz * push * KNOCKBACK_SPEED
    p.knockback_ms = max(p.knockback_ms, min(max(2 * push, 50), 200))
    if attacker == k:
        points = points // 2
    points = max(points, 1)
    saved = min(p.armor, int(np.ceil(points * ARMOR_SHARE)))
    p.armor -= saved
    p.health -= points - saved
    if attacker != k:
        p.hurt_by = attacker
    if p.health <= 0:
        _die(w, k, attacker)


@kernel
def _splash(w, x, y, z, owner, direct):
    """Burst a rocket: all players in reach and in sight are hurt, except player `direct`, who was hit by the rocket."""
    for k in range(w.player_count):
        p = w.players[k]
        if k == direct or p.alive == 0:
            continue
        # distance to the hull, not to its center
        ex = max(abs(p.pos[0] - x) - HULL, 0.0)
        ey = max(abs(p.pos[1] - y) - HULL, 0.0)
        ez = max(max(p.pos[2] - 24.0 - z, z - p.pos[2] - 32.0), 0.0)
        points = int(SPLASH_DAMAGE * (1.0 - np.sqrt(ex * ex + ey * ey + ez * ez) / SPLASH_RADIUS))
        if points <= 0:
            continue
        dx, dy, dz = p.pos[0] - x, p.pos[1] - y, p.pos[2] - z
        length = max(np.sqrt(dx * dx + dy * dy + dz * dz), 1e-6)
        if ray_hit(w, x, y, z, dx / length, dy / length, dz / length, length) < length:
            continue
        # the push comes from below the center, so that players are lifted
        dz += 24.0
        length = np.sqrt(dx * dx + dy * dy + dz * dz)
        damage(w, k, owner, points, dx / length, dy / length, dz / length)


@kernel
def _launch(w, k, ox, oy, oz, dx, dy, dz):
    """Fire a rocket; if all are flying, the oldest one is replaced."""
    slot = 0
    oldest = -1
    for i in range(s.MAX_MISSILES):
        if w.missiles[i].active == 0:
            slot = i
            break
        if w.missiles[i].age_ms > oldest:
            oldest = w.missiles[i].age_ms
            slot = i
    m = w.missiles[slot]
    m.pos[0], m.pos[1], m.pos[2] = ox, oy, oz
    m.vel[0], m.vel[1], m.vel[2] = dx * ROCKET_SPEED, dy * ROCKET_SPEED, dz * ROCKET_SPEED
    m.owner = k
    m.active = 1
    m.age_ms = 0
    m.burst_ms = 0


@kernel
def move_missiles(w):
    """Move all rockets for one frame."""
    for i in range(s.MAX_MISSILES):
        m = w.missiles[i]
        if m.active == 0:
            m.burst_ms = max(m.burst_ms - w.dt_ms, 0)
            continue
        m.age_ms += w.dt_ms
        step = ROCKET_SPEED * w.dt_ms * 0.001
        dx, dy, dz = m.vel[0] / ROCKET_SPEED, m.vel[1] / ROCKET_SPEED, m.vel[2] / ROCKET_SPEED
        free = ray_hit(w, m.pos[0], m.pos[1], m.pos[2], dx, dy, dz, step)
        hit, free = nearest_player(w, m.owner, 0, m.pos[0], m.pos[1], m.pos[2], dx, dy, dz, free)
        m.pos[0] += dx * free
        m.pos[1] += dy * free
        m.pos[2] += dz * free
        if hit >= 0:
            damage(w, hit, m.owner, DAMAGE[s.ROCKET], dx, dy, dz)
        if hit < 0 and m.pos[2] >= s.WALL_HEIGHT and w.geometry == s.GRID:
            m.active = 0  # the rocket has flown into the sky
        elif hit >= 0 or free < step:
            m.active = 0
            m.burst_ms = BURST_MS
            _splash(w, m.pos[0] - dx, m.pos[1] - dy, m.pos[2] - dz, m.owner, hit)
        elif m.age_ms >= ROCKET_LIFE_MS:
            m.active = 0


@kernel
def _shoot(w, k, weapon):
    """Shoot from the eye along the view and remember where the shot ended; returns whether there was a shot."""
    p = w.players[k]
    dx, dy, dz = aim_vector(p.yaw, p.pitch)
    ox, oy, oz = p.pos[0], p.pos[1], p.pos[2] + p.view_height
    if weapon == s.ROCKET:
        _launch(w, k, ox, oy, oz, dx, dy, dz)
        p.shot_end[0], p.shot_end[1], p.shot_end[2] = ox, oy, oz
        return True
    if weapon == s.MACHINEGUN:
        turn = uniform(w) * 2.0 * np.pi
        up = np.sin(turn) * (2.0 * uniform(w) - 1.0) * MACHINEGUN_SPREAD
        right = np.cos(turn) * (2.0 * uniform(w) - 1.0) * MACHINEGUN_SPREAD
        flat = max(np.sqrt(dx * dx + dy * dy), 1e-6)
        rx, ry = dy / flat, -dx / flat
        ux, uy, uz = -dz * dx / flat, -dz * dy / flat, flat
        dx, dy, dz = dx + rx * right + ux * up, dy + ry * right + uy * up, dz + uz * up
        length = np.sqrt(dx * dx + dy * dy + dz * dz)
        dx, dy, dz = dx / length, dy / length, dz / length
    free = ray_hit(w, ox, oy, oz, dx, dy, dz, RANGE[weapon])
    hit, end = nearest_player(w, k, 0, ox, oy, oz, dx, dy, dz, free)
    if weapon == s.GAUNTLET and hit < 0:
        return False
    if weapon == s.RAILGUN:
        # the shot passes through players up to the wall
        passed = 0
        while hit >= 0:
            damage(w, hit, k, DAMAGE[weapon], dx, dy, dz)
            passed |= 1 << hit
            hit, end = nearest_player(w, k, passed, ox, oy, oz, dx, dy, dz, free)
        end = free
    elif hit >= 0:
        damage(w, hit, k, DAMAGE[weapon], dx, dy, dz)
    p.shot_end[0] = ox + dx * end
    p.shot_end[1] = oy + dy * end
    p.shot_end[2] = oz + dz * end
    return True


@kernel
def trigger(w, k, fire):
    """Play one frame of player `k`'s weapon: reload, then shoot if the trigger is held."""
    p = w.players[k]
    p.flash_ms = max(p.flash_ms - w.dt_ms, 0)
    p.life_ms += w.dt_ms
    # the remainder of the reload is carried over while the trigger is held, so that the rate of fire does not depend on
    # the length of frames
    p.reload_ms -= w.dt_ms
    if fire == 0 or p.alive == 0:
        p.reload_ms = max(p.reload_ms, 0)
        p.fire_held = 0
        return
    if p.fire_held == RESPAWNED or p.reload_ms > 0:
        return
    p.fire_held = 1
    weapon = p.weapon
    if p.ammo[weapon] == 0:
        p.reload_ms += EMPTY_MS
        p.weapon = best_weapon(p)
        return
    if _shoot(w, k, weapon):
        if p.ammo[weapon] > 0:
            p.ammo[weapon] -= 1
        p.reload_ms += RELOAD_MS[weapon]
        p.flash_ms = FLASH_MS
    else:
        p.reload_ms = 0


@kernel
def take_weapon(p, weapon):
    """Pick up a weapon and switch to it."""
    rounds = PICKUP_AMMO[weapon]
    p.owned[weapon] = 1
    p.ammo[weapon] = rounds if p.ammo[weapon] < rounds else p.ammo[weapon] + 1
    p.weapon = weapon


@kernel
def take_health(p, points):
    """Add health up to 100; returns False if the player needs none."""
    if p.health >= MAX_HEALTH:
        return False
    p.health = min(p.health + points, MAX_HEALTH)
    return True


@kernel
def take_armor(p, points):
    """Add armor up to 200; returns False if the player already has that much."""
    if p.armor >= MAX_ARMOR:
        return False
    p.armor = min(p.armor + points, MAX_ARMOR)
    return True


@kernel
def fire_only(w, fire):
    """Play one frame of shooting and health in levels without opponents."""
    decay(w, w.players[0])
    trigger(w, 0, fire)  # there are no rockets to move, because players have no rocket launcher
