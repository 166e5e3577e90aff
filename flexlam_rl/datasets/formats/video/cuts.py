"""Detection of scene cuts by how much the picture changes from frame to frame."""

import numpy as np
from PIL import Image

SIDE, CELLS = 32, 4
THRESHOLD = 0.15
"""Smallest change that counts as a scene cut by default; `docs/data.md` shows it on data."""


class SceneChange:
    """Measures how much each frame of a video differs from the previous one.

    The picture is resized to 32x32 and divided into 4x4 cells. The values of each cell and color are sorted, and the
    change is the mean absolute difference of the sorted values to those of the previous frame, from 0 to 1. Sorting
    discards positions within a cell, so motion changes little and a new scene much.
    """

    def __init__(self) -> None:
        self._before: np.ndarray | None = None

    def __call__(self, frame: np.ndarray) -> float:
        """Compute the change from the previous call's frame to `frame` (H, W, 3); 0 for the first frame."""
        small = np.asarray(Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
        cell = SIDE // CELLS
        cells = small.reshape(CELLS, cell, CELLS, cell, 3).transpose(0, 2, 4, 1, 3).reshape(CELLS * CELLS * 3, -1)
        values = np.sort(cells, axis=1)
        change = 0.0 if self._before is None else float(np.abs(values - self._before).mean()) / 255
        self._before = values
        return change
