"""The look of litelab: all images that drawing needs, shared by all worlds."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from flexlam_rl.envs.litelab import (
    dome,
    labmaze_textures,
    patterns,
    render_natlab,
    shade,
    shapes,
    skies,
    surfaces,
    textures_rooms,
)
from flexlam_rl.envs.litelab import textures as tx
from flexlam_rl.envs.litelab.pictures import pictures as pictures_of_walls


class Natlab(NamedTuple):
    """Sky and soil of natlab."""

    skies: np.ndarray  # (3, GRADIENT, 3) uint8: night, day, dawn; from straight down to straight up
    patches: np.ndarray  # (TILE, TILE) uint8: brightness of the ground around 128


class Look(NamedTuple):
    """Arrays that `render.draw` reads; packed colors are uint32, red in the low byte."""

    texels: np.ndarray  # packed: atlas, sky and pictures one after the other; the next three are views of it
    atlas: np.ndarray  # (TEXTURES, TEXELS), mip levels one after the other
    sky: np.ndarray  # (SKIES, 5, SKY_SIZE, SKY_SIZE): faces east, north, west, south, up; column, row
    pictures: np.ndarray  # (PICTURES, PICTURE_TEXELS)
    repeat: np.ndarray  # (TEXTURES,) float32: repetitions of a texture per world unit
    lights: np.ndarray  # uint32, see shade.lights
    sprites: shapes.Atlas  # items and opponents from all sides
    patterns: np.ndarray  # (PATTERNS, TEXELS) uint8: share of an object's second color
    psychlab: dome.Dome
    natlab: Natlab


TEXTURE_SETS = ("procedural", "labmaze")


def _images(textures: str) -> tuple[np.ndarray, np.ndarray]:
    """Make walls and floors (40, SIZE, SIZE, 3) and the city's sky (5, SKY_SIZE, SKY_SIZE, 3) of a set of textures."""
    if textures == "procedural":
        return surfaces.walls_and_floors(), skies.city()
    if textures == "labmaze":
        return labmaze_textures.walls_and_floors(), labmaze_textures.sky()
    raise ValueError(f"Unknown textures {textures!r}; expected one of {', '.join(TEXTURE_SETS)}.")


@lru_cache(maxsize=len(TEXTURE_SETS))
def load_look(textures: str = "procedural") -> Look:
    """Build a look, once per process.

    Args:
        textures: "procedural" (drawn by code, the same on every platform) or "labmaze" (DMLab's walls, floors and sky
            from the package of that name).

    Raises:
        ValueError: There are no such textures.
        ImportError: The package labmaze is needed and not installed.
    """
    walls_and_floors, city = _images(textures)
    images = np.concatenate([walls_and_floors, surfaces.special()])
    atlas = np.stack([tx.mips(image, tx.LEVELS) for image in images])
    repeat = np.full(tx.TEXTURES, 1.0 / 100.0, np.float32)
    for number, size in textures_rooms.SIZES.items():
        repeat[number] = 1.0 / size
    pictures = np.stack([tx.mips(picture, tx.PICTURE_LEVELS) for picture in pictures_of_walls()])
    sky = tx.pack(np.floor(np.stack([city, skies.pool()]) + 0.5)).swapaxes(2, 3)
    texels = np.concatenate([atlas.ravel(), sky.ravel(), pictures.ravel()])
    ends = np.cumsum([atlas.size, sky.size])
    return Look(
        texels,
        texels[: ends[0]].reshape(atlas.shape),
        texels[ends[0] : ends[1]].reshape(sky.shape),
        texels[ends[1] :].reshape(pictures.shape),
        repeat,
        shade.lights(),
        shapes.build_atlas(),
        patterns.build_patterns(),
        dome.build_dome(),
        Natlab(render_natlab.skies(), render_natlab.patches()),
    )
