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
            'textures="labmaze" needs the packages labmaze and pillow (labmaze has wheels up to Python 3.12), but '
            f'{error.name} is not installed; use textures="procedural" or install them.'
        ) from error
    return Path(labmaze.assets.ROOT_DIR)


def _image(path: Path, size: int) -> np.ndarray:
    """Read a PNG as (size, size, 3), averaging square blocks of its pixels."""
    from PIL import Image

    with Image.open(path) as file:
        pixels = np.asarray(file.convert("RGBA").convert("RGB"), np.float32)
    block = pixels.shape[0] // size
    return pixels.reshape(size, block, size, block, 3).mean((1, 3))


# Glowing parts that DMLab's shaders add to a style: kind and style, file, color of the light (fitted to recordings).
_LIGHTS = {
    ("wall", "style_01"): ("wall_light_m", (0.0, 135.0, 250.0)),
    ("floor", "style_01"): ("floor_light_m", (0.0, 135.0, 250.0)),
    ("wall", "style_03"): ("wall_light_m", (255.0, 190.0, 150.0)),
}


def walls_and_floors() -> np.ndarray:
    """Read the first 40 textures of the atlas, (40, SIZE, SIZE, 3)."""
    folder = _folder()
    images = []
    for kind, names in (("wall", tx.WALL_STYLES), ("floor", tx.FLOOR_STYLES)):
        for name in names:
            style, color = name[:8], name[9:]
            image = _image(folder / style / f"{kind}_{color}_d.png", tx.SIZE)
            if (kind, style) in _LIGHTS:
                file, light = _LIGHTS[kind, style]
                image = np.minimum(
                    image + _image(folder / style / f"{file}.png", tx.SIZE) * (np.array(light) / 255.0), 255.0
                )
            images.append(image)
    return np.stack(images)


def sky() -> np.ndarray:
    """Read the sky of the explore, lasertag and language levels, (5, SKY_SIZE, SKY_SIZE, 3)."""
    folder = _folder()
    return np.stack([_image(folder / "sky_03" / f"{side}.png", tx.SKY_SIZE) for side in _SIDES])
