"""One episode of one world: start, frames, map restarts and the end. Everything here is compiled."""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.clock import (
    FRAME_MS,
    frame_ms,
    load_clock,
    restart_clock,
    start_clock,
    start_clock_anywhere,
)
from flexlam_rl.envs.litelab.items import respawn_items, touched_item
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels import deferred, explore, language, lasertag, natlab, psychlab, watermaze
from flexlam_rl.envs.litelab.physics import move, stand
from flexlam_rl.envs.litelab.pose import SPIN_PER_UNIT, land, lift, place, wrap
from flexlam_rl.envs.litelab.rng import mix
from flexlam_rl.envs.litelab.shade import prepare
from flexlam_rl.envs.litelab.weapons import equip, fire_only


@kernel
def start(w, seed):
    """Begin an episode: the level's rules draw the map, then the first start of the map places items and player."""
    w.seed = np.uint64(seed)
    w.rng = mix(np.uint64(seed) + np.uint64(0x632BE59BD9B4E019))
    w.frame = 0
    w.total = 0.0
    w.reward = 0.0
    w.restarts = 0
    w.episode_over = 0
    w.item_count = 0
    w.player_count = 1
    w.running = 1
    for m in range(s.MAX_MISSILES):
        w.missiles[m].active = 0
        w.missiles[m].burst_ms = 0
    if w.family == s.EXPLORE:
        explore.begin(w)
    elif w.family == s.LANGUAGE:
        language.begin(w)
    elif w.family == s.LASERTAG:
        lasertag.begin(w)
    elif w.family == s.NATLAB:
        natlab.begin(w)
    elif w.family == s.PSYCHLAB:
        psychlab.begin(w)
    elif w.family == s.DEFERRED:
        deferred.begin(w)
    else:
        watermaze.begin(w)
    _restart(w)
    # spawn points have whole coordinates, so any other pose is taken from the middle of an episode
    if w.given_start == 1 and (w.start_pos[0] != np.rint(w.start_pos[0]) or w.start_pos[1] != np.rint(w.start_pos[1])):
        start_clock_anywhere(w)
    else:
        start_clock(w, _entities(w))


@kernel
def _entities(w):
    """Number of items and doors of the map."""
    count = w.item_count
    if w.geometry == s.GRID:
        for row in range(w.rows):
            for col in range(w.cols):
                if w.cell[row, col] == s.DOOR_H or w.cell[row, col] == s.DOOR_I:
                    count += 1
    return count


@kernel
def _restart_frame(w):
    """Play the first frame of a restart, in which the new pose is seen and nothing moves.

    The player appears above the floor and stands on it one frame later, except on another map or at a pose given by
    the user.
    """
    p = w.players[0]
    pitch = p.pitch
    yaw = p.yaw
    w.restarts += 1
    _restart(w)
    w.dt_ms = FRAME_MS
    if w.family == s.LANGUAGE:
        load_clock(w)
    else:
        restart_clock(w)
        if w.given_start == 0:
            lift(p)
    p.spin[0] = (p.pitch - pitch) * SPIN_PER_UNIT
    p.spin[1] = wrap(p.yaw - yaw) * SPIN_PER_UNIT
    p.spin[2] = 0.0


@kernel
def _restart(w):
    """Load the map (again): items, doors, spawn. It takes no frame (reference A3), and the episode's time continues."""
    w.map_frame = 0
    w.map_ms = 0
    w.map_over = 0
    if w.family == s.EXPLORE:
        explore.restart(w)
    elif w.family == s.LANGUAGE:
        language.restart(w)
    elif w.family == s.LASERTAG:
        lasertag.restart(w)
    elif w.family == s.NATLAB:
        natlab.restart(w)
    elif w.family == s.PSYCHLAB:
        psychlab.restart(w)
    elif w.family == s.DEFERRED:
        deferred.restart(w)
    else:
        watermaze.restart(w)
    if w.geometry == s.GRID:
        prepare(w)
    w.start_blocked = 0
    if w.given_start == 1:
        # at a user's pose the player is at rest, without the effects of a spawn
        place(w, w.players[0], w.start_pos[0], w.start_pos[1], w.start_pos[2], w.players[0].yaw)
        w.start_blocked = 0 if stand(w, w.players[0]) else 1
    if w.given_angles == 1:
        w.players[0].pitch = int(np.round(w.start_angles[0] * (65536.0 / 360.0)))
        w.players[0].yaw = int(np.round(w.start_angles[1] * (65536.0 / 360.0)))
    w.players[0].spawn_yaw = w.players[0].yaw
    if w.family != s.LASERTAG:
        equip(w.players[0])


@kernel
def _frame(w, action):
    p = w.players[0]
    item = -1
    if w.map_over == 1:
        _restart_frame(w)
    else:
        w.dt_ms = frame_ms(w)
        land(p)
        if w.family != s.LASERTAG:
            item = touched_item(
                w, p
            )  # before the move: recorded rewards come one frame after the step into an item's box
        if w.family == s.PSYCHLAB:
            move(w, p, action[0], action[1], 0, 0, action[5], action[6])
        elif w.family != s.LASERTAG:  # lasertag moves players itself, because they are in each other's way
            move(w, p, action[0], action[1], action[2], action[3], action[5], action[6])
    w.frame += 1
    w.map_frame += 1
    w.map_ms += w.dt_ms
    respawn_items(w)
    if w.family == s.EXPLORE:
        if item >= 0:
            explore.touch(w, item)
    elif w.family == s.LANGUAGE:
        if item >= 0:
            language.touch(w, item)
    elif w.family == s.LASERTAG:
        lasertag.tick(w, action)
    elif w.family == s.NATLAB:
        if item >= 0:
            natlab.touch(w, item)
    elif w.family == s.PSYCHLAB:
        psychlab.tick(w)
    elif w.family == s.DEFERRED:
        deferred.tick(w, item)
    else:
        watermaze.tick(w)
    if w.family != s.LASERTAG:
        fire_only(w, 0 if w.family == s.PSYCHLAB else action[4])
    if w.frame == 1:
        p.spin[:] = 0.0  # the original has no earlier angle to compute a spin from


@kernel
def advance(worlds, i, action, frames):
    """Play up to `frames` frames of world `i` with one native action (7 ints) and return the sum of rewards.

    It stops early at the end of the episode, after which `running` is 0.
    """
    w = worlds[i]
    total = 0.0
    for _ in range(frames):
        if w.running == 0:
            break
        w.reward = 0.0
        _frame(w, action)
        total += w.reward
        if w.episode_over == 1 or w.frame >= w.episode_frames:
            w.running = 0
    w.total += total
    return total


@kernel
def begin(worlds, i, seed):
    """Begin an episode in world `i` with a uint64 seed."""
    start(worlds[i], seed)
