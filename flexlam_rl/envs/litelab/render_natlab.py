"""The view of natlab: a height field with plants."""

from flexlam_rl.envs.litelab.kernel import kernel


@kernel
def draw(w, look, rgb, depth):
    """Draw into rgb (H, W, 3) uint8 and depth (H, W) float32, the distance along the view axis."""
    depth[:] = 65536.0
    rgb[:] = 128
