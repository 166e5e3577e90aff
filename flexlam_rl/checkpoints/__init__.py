"""The checkpoints that come with the package."""

import os
from pathlib import Path

BUNDLED = Path(__file__).parent / "litelab-tiny"
"""Folder of the bundle that comes with the package."""
PIXEL_EXPERT = Path(__file__).parent / "pixel-expert"
"""Folder of the pixel expert that comes with the package; versions without one do not have it."""
VARIABLE = "FLEXLAM_CHECKPOINT"
"""Environment variable that names another default bundle: a folder, or a hub id."""


def default() -> str | Path | None:
    """What is loaded where no checkpoint is named; None where there is none."""
    return os.environ.get(VARIABLE) or (BUNDLED if (BUNDLED / "config.json").is_file() else None)
