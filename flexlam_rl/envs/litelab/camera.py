"""Position and direction of the player's view."""

import numpy as np

from flexlam_rl.envs.litelab.kernel import kernel

TURN = 2.0 * np.pi / 65536.0


@kernel
def camera(w):
    """Eye position and the cosines and sines of yaw and pitch: (x, y, z, cos yaw, sin yaw, cos pitch, sin pitch)."""
    p = w.players[0]
    yaw = (p.yaw if p.alive == 1 else p.dead_yaw) * TURN
    pitch = p.pitch * TURN
    return p.pos[0], p.pos[1], p.pos[2] + p.view_height, np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
