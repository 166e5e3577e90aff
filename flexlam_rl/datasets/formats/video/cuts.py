"""Scene cuts: how much the picture changes from frame to frame, and where that is a cut."""

import numpy as np
from PIL import Image

SIDE, CELLS = 32, 4
THRESHOLD = 0.15
"""Change from which on two frames are taken for two scenes; `docs/data.md` shows it on data."""


class SceneChange:
    """Tells how much each frame of a video differs from the one before.

    The picture is made 32x32 and divided into 4x4 cells; the values of each cell and color are sorted, and the change
    is the mean difference of the sorted values to those of the frame before, from 0 to 1. Sorting forgets where in its
    cell a value stands, so that what moves changes little, and other scenery much.
    """

    def __init__(self) -> None:
        self._before: np.ndarray | None = None

    def __call__(self, frame: np.ndarray) -> float:
        """Give the change from the last frame that this was called with to `frame` (H, W, 3); 0 for the first."""
        small = np.asarray(Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
        cell = SIDE // CELLS
        cells = small.reshape(CELLS, cell, CELLS, cell, 3).transpose(0, 2, 4, 1, 3).reshape(CELLS * CELLS * 3, -1)
        values = np.sort(cells, axis=1)
        change = 0.0 if self._before is None else float(np.abs(values - self._before).mean()) / 255
        self._before = values
        return change
