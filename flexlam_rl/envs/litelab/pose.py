"""Pose of a player: placing and turning."""

import numpy as np

from flexlam_rl.envs.litelab.kernel import kernel

ARRIVAL = 13.875  # height of a spawn point above the standing position
EYE = 26.0
TURN = 0.1056 * 65536.0 / 360.0  # 65536ths of a turn per look unit
PITCH_LIMIT = 16000
SPIN_PER_UNIT = 360.0 / 65536.0 / 0.016  # degrees per second of a turn by one 65536th in a frame


@kernel
def wrap(angle):
    """Wrap an angle in 65536ths of a turn into -32768..32767."""
    return (angle + 32768) % 65536 - 32768


@kernel
def place(w, p, x, y, z, yaw):
    """Put player `p` at rest at a pose; `yaw` in 65536ths of a turn."""
    p.pos[0] = x
    p.pos[1] = y
    p.pos[2] = z
    p.vel[:] = 0.0
    p.spin[:] = 0.0
    p.pitch = 0
    p.yaw = wrap(yaw)
    p.look_rest[:] = 0.0
    p.arriving = 0
    p.view_height = EYE
    p.on_ground = 1
    p.crouched = 0
    p.jump_held = 0
    p.alive = 1
    p.knockback_ms = 0
    p.landing_ms = 0


@kernel
def lift(p):
    """Lift a standing player to the height of a spawn point, until `land`."""
    p.pos[2] += ARRIVAL
    p.arriving = 1


@kernel
def land(p):
    """Put an arriving player onto the floor."""
    if p.arriving == 1:
        p.pos[2] -= ARRIVAL
        p.arriving = 0


@kernel
def turn(p, look_right, look_down):
    """Turn by one frame of mouse movement. Angles are whole numbers of 65536ths; the remainder is kept for the next
    frame.
    """
    yaw = p.look_rest[1] - look_right * TURN
    pitch = p.look_rest[0] + look_down * TURN
    whole_yaw = int(np.floor(yaw + 0.5))
    whole_pitch = int(np.floor(pitch + 0.5))
    p.look_rest[1] = yaw - whole_yaw
    p.look_rest[0] = pitch - whole_pitch
    before = p.pitch
    p.pitch = min(max(before + whole_pitch, -PITCH_LIMIT), PITCH_LIMIT)
    p.yaw = wrap(p.yaw + whole_yaw)
    p.spin[0] = (p.pitch - before) * SPIN_PER_UNIT
    p.spin[1] = wrap(whole_yaw) * SPIN_PER_UNIT
    p.spin[2] = 0.0
