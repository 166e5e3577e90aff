"""Items, bots, missiles and effects, drawn over the walls with the depth buffer."""

from flexlam_rl.envs.litelab.kernel import kernel


@kernel
def draw_sprites(w, look, rgb, depth):
    """Draw into rgb (H, W, 3) uint8 and depth (H, W) float32, the distance along the view axis."""
    return
