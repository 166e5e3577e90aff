"""Models of the plants and rocks on natlab's ground: cacti, bushes, agaves and rocks.

The shapes follow the recordings, in which the real maps' textures are missing.
"""

import math

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.solids import Model, ball, path, rod, upright

CACTUS, STUMP, BUSH, AGAVE, ROCK = range(5)
KINDS = 5
HEIGHTS = (159.0, 72.0, 104.0, 58.0, 30.0)  # heights of the models in world units

Colors = list[tuple[int, int, int]]


def _cactus() -> Model:
    arms = [
        *path([(0, 66), (30, 70), (32, 118)], [6, 6.5, 6], part=1),
        *path([(0, 52), (-26, 58), (-28, 92)], [5.5, 6, 5.5], part=1),
    ]
    return [
        upright(-10, 150, 11, 9, part=1),
        ball(0, 0, 150, 9, part=1),
        ball(32, 0, 118, 6, part=1),
        ball(-28, 0, 92, 5.5, part=1),
        *arms,
    ]


def _bush() -> Model:
    rng = np.random.default_rng(2)
    clumps = []
    for k in range(14):
        angle, up = 2.4 * k, 0.15 + 0.8 * (k / 13)
        out = 34 * math.sqrt(max(0.0, 1 - (up - 0.35) ** 2 * 2))
        clumps.append(
            ball(
                out * math.cos(angle),
                out * math.sin(angle),
                20 + 70 * up,
                17,
                17,
                14,
                tilt=float(rng.uniform(-30, 30)),
                part=1 + k % 2,
            )
        )
    return [upright(-10, 40, 6, part=3), ball(0, 0, 52, 30, 30, 32, part=1), *clumps]


def _agave() -> Model:
    leaves = []
    for k in range(16):
        angle, up = 2.4 * k, math.radians(20 + 4 * k)
        tip = (46 * math.cos(angle) * math.cos(up), 46 * math.sin(angle) * math.cos(up), 6 + 52 * math.sin(up))
        leaves.append(rod((0, 0, 4), tip, 6, 0.6, part=1 + k % 2))
    return leaves


def _rock() -> Model:
    return [
        ball(0, 0, 10, 30, 22, 20, part=1),
        ball(22, 8, 6, 18, 16, 14, part=2),
        ball(-16, -10, 12, 16, 18, 18, tilt=30, part=2),
    ]


def plants() -> list[tuple[Model, Colors]]:
    """List model and colors per daylight of each kind."""
    return [
        (_cactus(), [(0, 0, 0), (74, 98, 52)]),
        ([upright(-10, 62, 12, 10, part=1), ball(0, 0, 62, 10, part=1)], [(0, 0, 0), (82, 106, 56)]),
        (_bush(), [(0, 0, 0), (82, 104, 40), (66, 88, 34), (80, 60, 40)]),
        (_agave(), [(0, 0, 0), (92, 116, 70), (76, 100, 60)]),
        (_rock(), [(0, 0, 0), (132, 120, 106), (116, 106, 96)]),
    ]


@kernel
def plant_model(p):
    """(kind of model, scale) of a plant record."""
    if p.kind == s.ROCK:
        return ROCK, p.height / HEIGHTS[ROCK]
    kind = BUSH
    if p.kind == s.CACTUS:
        kind = CACTUS if p.height > 100.0 else STUMP
    elif p.turn < 2.0:
        kind = AGAVE
    return kind, p.height / HEIGHTS[kind]
