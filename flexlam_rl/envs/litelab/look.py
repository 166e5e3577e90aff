"""The look of litelab: all images that drawing needs, shared by all worlds."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from flexlam_rl.envs.litelab import dome, patterns, shade, shapes
from flexlam_rl.envs.litelab import textures as tx


class Look(NamedTuple):
    """Arrays that `render.draw` reads; packed colours are uint32, red in the low byte."""

    atlas: np.ndarray  # (TEXTURES, TEXELS) packed, mip levels behind each other
    repeat: np.ndarray  # (TEXTURES,) float32: how often a texture repeats in a world unit
    pictures: np.ndarray  # (PICTURES, PICTURE_TEXELS) packed with alpha
    sky: np.ndarray  # (SKIES, 5, SKY_SIZE, SKY_SIZE) packed: east, north, west, south, up
    floor_light: np.ndarray  # (256, STEPS, STEPS) uint8, see shade.py
    wall_light: np.ndarray  # (WALL_LIGHTS + 1, STEPS, STEPS) uint8
    sprites: shapes.Atlas  # items and opponents from all sides
    patterns: np.ndarray  # (PATTERNS, TEXELS) uint8: share of an object's second colour
    psychlab: dome.Dome


@lru_cache(maxsize=2)
def load_look(textures: str = "procedural") -> Look:
    """Build (once a process) the look named `textures`: "procedural" or "labmaze"."""
    rng = np.random.default_rng(0)
    atlas = np.stack([tx.mips(rng.integers(60, 200, 3) + rng.integers(-20, 20, (tx.SIZE, tx.SIZE, 1)), tx.LEVELS) for _ in range(tx.TEXTURES)])
    pictures = np.stack([tx.mips(rng.integers(60, 200, (tx.PICTURE_SIZE, tx.PICTURE_SIZE, 3)), tx.PICTURE_LEVELS) for _ in range(tx.PICTURES)])
    sky = np.empty((tx.SKIES, 5, tx.SKY_SIZE, tx.SKY_SIZE), np.uint32)
    sky[:] = tx.pack(np.array([120, 200, 255], np.uint8))
    if textures == "labmaze":
        from flexlam_rl.envs.litelab import labmaze_textures

        atlas[:40] = np.stack([tx.mips(x, tx.LEVELS) for x in labmaze_textures.walls_and_floors()])
        sky[0] = tx.pack(labmaze_textures.sky().astype(np.uint8))
    return Look(
        atlas,
        np.full(tx.TEXTURES, 0.01, np.float32),
        pictures,
        sky,
        shade.floor_light(),
        shade.wall_light(),
        shapes.build_atlas(),
        patterns.build_patterns(),
        dome.build_dome(),
    )
