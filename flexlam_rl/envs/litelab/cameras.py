"""The DEBUG.CAMERA views: the player's view without overlay, and a view from above."""

from typing import Any

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.look import Look
from flexlam_rl.envs.litelab.render import draw
from flexlam_rl.envs.litelab.settings import Settings

_RETICLE = 3  # pixels
_RETICLE_SHADE = 200


def camera_view(worlds: np.ndarray, i: int, view: str, settings: Settings, look: Look) -> np.ndarray:
    """TOP_DOWN, PLAYER_VIEW (with a grey 3x3 reticle) or PLAYER_VIEW_NO_RETICLE of world `i`: (alt height, alt width, 3) uint8."""
    height, width = settings.alt_height, settings.alt_width
    rgb = np.empty((height, width, 3), np.uint8)
    depth = np.empty((height, width), np.float32)
    draw(worlds, i, look, rgb, depth, 0)
    if view == "PLAYER_VIEW":
        top, left = height // 2 - _RETICLE // 2, width // 2 - _RETICLE // 2
        rgb[top : top + _RETICLE, left : left + _RETICLE] = _RETICLE_SHADE
    return rgb
