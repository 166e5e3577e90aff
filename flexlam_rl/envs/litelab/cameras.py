"""The DEBUG.CAMERA views: the player's view without overlay, and a view from above."""

from typing import Any

import numpy as np

from flexlam_rl.envs.litelab.top_down import default_camera, top_down

_RETICLE = 3  # pixels
_RETICLE_SHADE = 200


def camera_view(batch: Any, i: int, view: str) -> np.ndarray:
    """Draw a camera view of one world.

    Args:
        batch: A `Worlds`.
        i: Number of the world.
        view: TOP_DOWN, PLAYER_VIEW (with a gray 3x3 reticle) or PLAYER_VIEW_NO_RETICLE.

    Returns:
        (alt height, alt width, 3) uint8.
    """
    given = batch.settings[i]
    width, height = given.alt_width, given.alt_height
    if view == "TOP_DOWN":
        camera = given.camera or default_camera(batch.worlds[i], width, height)
        return top_down(batch.worlds, i, batch.look.atlas, width, height, camera, given.camera_yaw)
    rgb: np.ndarray = batch.picture(i, width, height, 0)
    if view == "PLAYER_VIEW":
        top, left = height // 2 - _RETICLE // 2, width // 2 - _RETICLE // 2
        rgb[top : top + _RETICLE, left : left + _RETICLE] = _RETICLE_SHADE
    return rgb
