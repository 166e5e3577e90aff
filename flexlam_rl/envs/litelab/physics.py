"""Movement of a player for one frame."""

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel


@kernel
def place(w, p, x, y, z, yaw):
    """Put player `p` at rest at a pose; `yaw` in 65536ths of a turn."""
    p.pos[0] = x
    p.pos[1] = y
    p.pos[2] = z
    p.vel[:] = 0.0
    p.spin[:] = 0.0
    p.pitch = 0
    p.yaw = yaw
    p.view_height = 26.0
    p.on_ground = 1
    p.crouched = 0
    p.jump_held = 0
    p.alive = 1
    p.knockback_ms = 100


@kernel
def move(w, p, look_right, look_down, strafe, forward, jump, crouch):
    """One frame of player `p`: turn, then move (reference A0), lasting w.dt_ms."""
    p.yaw -= int(look_right * 19)
