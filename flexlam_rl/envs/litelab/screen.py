"""The renderer and the look that it draws with (until both are there, a plain picture of the pose)."""

import numpy as np

from flexlam_rl.envs.litelab.kernel import kernel

try:
    from flexlam_rl.envs.litelab.render import draw
except ImportError:

    @kernel
    def draw(worlds, i, look, rgb, depth, hud):
        """A plain picture that changes with the pose."""
        p = worlds[i].players[0]
        rgb[:, :, 0] = np.uint8(p.yaw // 256 & 255)
        rgb[:, :, 1] = np.uint8(int(p.pos[0]) & 255)
        rgb[:, :, 2] = np.uint8(int(p.pos[1]) & 255)
        depth[:] = 100.0


try:
    from flexlam_rl.envs.litelab.textures import load_look
except ImportError:

    def load_look(textures):
        """No textures yet."""
        return np.zeros(1)


__all__ = ["draw", "load_look"]
