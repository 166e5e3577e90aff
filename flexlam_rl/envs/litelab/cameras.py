"""The DEBUG.CAMERA views: the player's view without overlay, and a view from above."""

from typing import Any

import numpy as np

_RETICLE = 3  # pixels
_RETICLE_SHADE = 200


def camera_view(batch: Any, i: int, view: str, width: int, height: int) -> np.ndarray:
    """TOP_DOWN, PLAYER_VIEW (with a grey 3x3 reticle) or PLAYER_VIEW_NO_RETICLE of world `i` of a `Worlds`: (height, width, 3) uint8."""
    rgb: np.ndarray = batch.picture(i, width, height, 0)
    if view == "PLAYER_VIEW":
        top, left = height // 2 - _RETICLE // 2, width // 2 - _RETICLE // 2
        rgb[top : top + _RETICLE, left : left + _RETICLE] = _RETICLE_SHADE
    return rgb
