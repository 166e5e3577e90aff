"""The original wall, floor and sky textures, from the pip package `labmaze`."""

from pathlib import Path

import numpy as np

from flexlam_rl.envs.litelab import textures as tx

_SIDES = ("rt", "bk", "lf", "ft", "up")  # east, north, west, south, up


def _folder() -> Path:
    try:
        import labmaze.assets
        import PIL  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f'textures="labmaze" needs the packages labmaze and pillow (labmaze has wheels up to Python 3.12), but {error.name} is not installed; '
            'use textures="procedural" or install them.'
        ) from error
    return Path(labmaze.assets.ROOT_DIR)


def _image(path: Path, size: int) -> np.ndarray:
    """Read a PNG as (size, size, 3), averaging square blocks of its pixels."""
    from PIL import Image

    with Image.open(path) as file:
        pixels = np.asarray(file.convert("RGBA").convert("RGB"), np.float32)
    block = pixels.shape[0] // size
    return pixels.reshape(size, block, size, block, 3).mean((1, 3))


def walls_and_floors() -> np.ndarray:
    """The first 40 textures of the atlas, (40, SIZE, SIZE, 3)."""
    folder = _folder()
    names = [("wall", n) for n in tx.WALL_STYLES] + [("floor", n) for n in tx.FLOOR_STYLES]
    return np.stack([_image(folder / n[:8] / f"{kind}_{n[9:]}_d.png", tx.SIZE) for kind, n in names])


def sky() -> np.ndarray:
    """The sky of the explore, lasertag and language levels, (5, SKY_SIZE, SKY_SIZE, 3)."""
    folder = _folder()
    return np.stack([_image(folder / "sky_03" / f"{side}.png", tx.SKY_SIZE) for side in _SIDES])
