"""Pictures of the models from all sides: the atlas that sprites are drawn from.

Every model is drawn once into SIZE x SIZE texels, from ANGLES directions around it and slightly from above. A texel has
everything that does not depend on the object's colors: brightness, part number, and its place on the object, so that a
pattern can be projected onto it. Sprites then need one look-up per pixel, whatever their model.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flexlam_rl.envs.litelab import foliage, models, pickups, solids
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.solids import meet

ANGLES = 16
SIZE = 40  # texels per side
ELEVATION = math.radians(7.0)  # typical for a player that looks at an object a few steps away

# Numbers of models in the atlas: an item's look number is its model, the opponents' poses follow the 40 shapes.
BOT_STAND, BOT_WALK_A, BOT_WALK_B, BOT_CROUCH = range(s.SHAPES + 40, s.SHAPES + 44)
PLANTS = s.SHAPES + 44
MODELS = PLANTS + foliage.KINDS

# In most places of the recordings, objects are lit from below by the bright floor: undersides are bright, tops dark.
AMBIENT = 0.5
DIRECT = 0.55
LIGHT = np.array([0.25, 0.4, -0.88])  # to the viewer's right, towards the viewer, up
SUN = np.array([0.35, 0.35, 0.87])  # plants are lit from above

# Size corrections of A6.3 for small and large; medium is 1 for all.
SMALL, LARGE = 0.62, 1.62
_CORRECTIONS = {
    "car": (0.8, 1.02), "cassette": (0.95, 1.45), "chair": (0.84, 1.15), "cow": (0.81, 1.06), "banana": (SMALL, 1.4), "hat": (SMALL, 1.4),
    "pig": (SMALL, 1.3),
}  # fmt: skip


class Atlas(NamedTuple):
    """Views of all models."""

    texels: NDArray[
        np.uint32
    ]  # (MODELS, ANGLES, SIZE, SIZE): bits 0-7 brightness (0: see through), 8-10 part, 12-21 and 22-31 pattern place
    box: NDArray[np.float32]  # (MODELS, 3): half width, bottom and top of the views in world units at scale 1
    palette: NDArray[np.uint8]  # (MODELS, 8, 3): colors of the parts; part 0 has the object's own


def look_of(name: str) -> int:
    """The `look` number of an object shape.

    Raises:
        ValueError: `name` is not one of the 40 shapes.
    """
    if name not in models.SHAPE_NAMES:
        raise ValueError(f"Unknown object shape {name!r}; expected one of {', '.join(models.SHAPE_NAMES)}.")
    return s.SHAPES + models.SHAPE_NAMES.index(name)


def scale_of(name: str, size: str) -> float:
    """The scale of a shape of size "small", "medium" or "large" (reference A6.3)."""
    low, high = _CORRECTIONS.get(name, (SMALL, LARGE))
    return {"small": low, "medium": 1.0, "large": high}[size]


@kernel
def _place_on(value):
    """Encode a pattern coordinate in ten bits, in quarter units and made positive."""
    return np.uint32(int(value * 4.0 + 512.0) & 1023)


@kernel
def draw_views(prims, box, elevation, light, out):
    """Draw a model's views into `out` (ANGLES, SIZE, SIZE).

    View k is from the direction 2 pi k / ANGLES, counterclockwise from the model's front (x axis).
    """
    views, size, _ = out.shape
    normal = np.zeros(3)
    kept = np.zeros(3)
    ce, se = np.cos(elevation), np.sin(elevation)
    for k in range(views):
        angle = 2.0 * np.pi * k / views
        ca, sa = np.cos(angle), np.sin(angle)
        dx, dy, dz = -ca * ce, -sa * ce, -se  # direction of the view
        for j in range(size):
            z = box[2] - (j + 0.5) / size * (box[2] - box[1])
            for i in range(size):
                across = ((i + 0.5) / size * 2.0 - 1.0) * box[0]
                # a point in the upright plane through the axis; the viewer's right is (-sin, cos)
                px, py = -sa * across, ca * across
                best, part = 1e9, 0
                for n in range(prims.shape[0]):
                    # skip primitives that are too far from the ray in the picture's plane
                    away = across + sa * prims[n, 12] - ca * prims[n, 13]
                    over = (z - prims[n, 14]) * ce + se * (ca * prims[n, 12] + sa * prims[n, 13])
                    if away * away + over * over > prims[n, 15]:
                        continue
                    t = meet(prims[n], px - 300.0 * dx, py - 300.0 * dy, z - 300.0 * dz, dx, dy, dz, normal)
                    if t < best:
                        best, part = t, int(prims[n, 1])
                        kept[:] = normal
                if best > 1e8:
                    out[k, j, i] = 0
                    continue
                best -= 300.0
                hx, hy, hz = px + best * dx, py + best * dy, z + best * dz
                kept /= np.sqrt((kept * kept).sum())
                side = -sa * kept[0] + ca * kept[1]
                front = ca * kept[0] + sa * kept[1]
                lit = max(0.0, side * light[0] + front * light[1] + kept[2] * light[2])
                shade = min(255, max(1, int(255.0 * (0.5 + 0.55 * lit))))
                ax, ay, az = abs(kept[0]), abs(kept[1]), abs(kept[2])
                if az >= ax and az >= ay:
                    u, v = hx, hy
                elif ay >= ax:
                    u, v = hx, hz
                else:
                    u, v = hy, hz
                out[k, j, i] = (
                    np.uint32(shade)
                    | np.uint32(part << 8)
                    | _place_on(u) << np.uint32(12)
                    | _place_on(v) << np.uint32(22)
                )


_Entry = tuple[int, solids.Model, list[tuple[int, int, int]]]


def _all_models() -> list[_Entry]:
    """List (number in the atlas, model, colors of its parts) of all models."""
    objects: list[_Entry] = [(look_of(name), models.object_model(name), []) for name in models.SHAPE_NAMES]
    poses: list[_Entry] = [(BOT_STAND + k, pose, []) for k, pose in enumerate(pickups.bots())]
    plants: list[_Entry] = [(PLANTS + k, model, colors) for k, (model, colors) in enumerate(foliage.plants())]
    return [*pickups.specials(), *objects, *poses, *plants]


@lru_cache(maxsize=1)
def build_atlas() -> Atlas:
    """Draw all models, which takes about a tenth of a second, once per process."""
    texels = np.zeros((MODELS, ANGLES, SIZE, SIZE), np.uint32)
    box = np.zeros((MODELS, 3), np.float32)
    palette = np.full((MODELS, 8, 3), 255, np.uint8)
    for number, model, colors in _all_models():
        radius, low, high = solids.extent(model)
        lift = radius * math.sin(ELEVATION)
        bounds = np.array([radius, low * math.cos(ELEVATION) - lift, high + lift])
        draw_views(solids.pack(model), bounds, ELEVATION, SUN if number >= PLANTS else LIGHT, texels[number])
        box[number] = bounds
        for part, color in enumerate(colors):
            palette[number, part] = color
    return Atlas(texels, box, palette)
