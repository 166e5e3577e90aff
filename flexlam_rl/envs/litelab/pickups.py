"""Models with fixed colors: apple, goal, cake, box, mushroom, lasertag's pickups, and the opponents.

Apple, goal and cake follow the recordings: a dark red ball 26 units wide with a stem; a stack of three drops, red below
and brass above, 40 units high; a white cake 58 units wide with a red top. The others follow the descriptions in
reference A6.6, A6.7 and A6.9.
"""

import math

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.solids import Model, Primitive, ball, brick, ring, rod, upright

Colors = list[tuple[int, int, int]]


def _apple() -> Model:
    return [
        ball(-2, 0, 15, 11.5, 13, 12, part=1),
        ball(2, 0, 15, 11.5, 13, 12, part=1),
        rod((0, 0, 25), (3, 0, 35), 1.3, part=2),
        ball(8, 0, 34, 6, 3, 1.6, part=3),
    ]


def _goal() -> Model:
    return [
        ball(0, 0, 8, 13, 13, 8, part=1),
        ball(0, 0, 20, 9.5, 9.5, 8.5, part=2),
        ball(0, 0, 31, 7.5, 7.5, 7, part=3),
        upright(36, 41, 3, 0.5, part=3),
    ]


def _cake() -> Model:
    rim = [ball(27 * math.cos(t), 27 * math.sin(t), 34, 4, part=1) for t in np.arange(10) * math.pi / 5]
    return [upright(0, 32, 29, part=1), upright(31, 35, 30, part=2), *rim, ball(0, 0, 36, 6, part=2)]


def _box() -> Model:
    return [
        brick(0, 0, 16, 16, 16, 16, part=1),
        brick(0, 0, 16, 16.5, 4, 16.5, part=2),
        brick(0, 0, 16, 4, 16.5, 16.5, part=2),
    ]


def _mushroom() -> Model:
    spots = [ball(8 * math.cos(t), 8 * math.sin(t), 19, 2.6, part=3) for t in np.arange(5) * 1.2566]
    return [upright(0, 15, 4, 3, part=1), ball(0, 0, 14, 11, 11, 8, part=2), upright(8, 11, 9, part=1), *spots]


def _health() -> Model:
    return [
        ball(0, 0, 18, 15, part=1),
        brick(0, 0, 18, 4, 4, 17, part=2),
        brick(0, 0, 18, 17, 4, 4, part=2),
        brick(0, 0, 18, 4, 17, 4, part=2),
    ]


def _armor() -> Model:
    return [
        brick(0, 0, 18, 7, 13, 13, part=1),
        ball(0, -15, 28, 8, 7, 6, part=2),
        ball(0, 15, 28, 8, 7, 6, part=2),
        brick(4, 0, 18, 5, 5, 9, part=2),
    ]


def _gun(barrel: list[Primitive]) -> Model:
    return [brick(-10, 0, 16, 12, 4, 5, part=1), brick(-14, 0, 8, 3, 3, 7, tilt=15, part=1), *barrel]


_SPECIALS: tuple[tuple[int, Model, Colors], ...] = (
    (s.LOOK_APPLE, _apple(), [(0, 0, 0), (170, 24, 26), (110, 14, 18), (140, 20, 22)]),
    (s.LOOK_GOAL, _goal(), [(0, 0, 0), (225, 52, 22), (235, 150, 10), (230, 175, 30)]),
    (s.LOOK_CAKE, _cake(), [(0, 0, 0), (245, 240, 232), (215, 12, 14)]),
    (s.LOOK_BOX, _box(), [(0, 0, 0), (190, 190, 195), (120, 120, 130)]),
    (s.LOOK_MUSHROOM, _mushroom(), [(0, 0, 0), (235, 225, 200), (200, 45, 30), (250, 240, 230)]),
    (s.LOOK_HEALTH, _health(), [(0, 0, 0), (235, 215, 60), (250, 250, 250)]),
    (s.LOOK_ARMOR, _armor(), [(0, 0, 0), (225, 190, 40), (150, 150, 160)]),
    (
        s.LOOK_ROCKET,
        _gun([rod((-4, 0, 18), (26, 0, 18), 6, part=2), ball(26, 0, 18, 4, part=3)]),
        [(0, 0, 0), (90, 90, 95), (190, 60, 40), (255, 200, 80)],
    ),
    (
        s.LOOK_LIGHTNING,
        _gun(
            [
                rod((-2, 0, 18), (24, 0, 18), 3, part=2),
                *[rod((x, 0, 18), (x + 2, 0, 18), 6, part=3) for x in (4, 12, 20)],
            ]
        ),
        [(0, 0, 0), (95, 95, 90), (225, 215, 150), (80, 190, 235)],
    ),
    (
        s.LOOK_RAILGUN,
        _gun(
            [
                brick(14, 0, 21, 18, 2.5, 2, part=2),
                brick(14, 0, 14, 18, 2.5, 2, part=2),
                *ring(-4, 17, 8, 8, 2, 8, part=3),
            ]
        ),
        [(0, 0, 0), (85, 95, 90), (120, 150, 130), (90, 235, 120)],
    ),
)


def specials() -> tuple[tuple[int, Model, Colors], ...]:
    """List (look number, model, colors of the parts) of each special model."""
    return _SPECIALS


def _bot(lean: float, lift: float) -> Model:
    """Make an opponent that looks as in the recordings: a large round head with a stripe, on a small body that tapers
    off above the ground.

    Part 1 is the head, 2 the body, 3 stripe, visor and gun; z is measured from the feet. `lean` swings the arms, `lift`
    moves the head.
    """
    z = 51 + lift
    head = [
        ball(0, 0, z, 20, 20, 20, part=1),
        ball(0, 0, z, 20.7, 4, 20.7, part=3),
        ball(13, 0, z - 2, 9, 11, 6, part=3),
    ]
    body = [upright(14, 33 + lift, 2, 9, part=2), ball(0, 0, 31 + lift, 10, 11, 6, part=2)]
    arms = [
        rod((0, -10, 30 + lift), (8 + lean, -13, 20 + lift), 3, part=2),
        rod((0, 10, 30 + lift), (8 - lean, 13, 20 + lift), 3, part=2),
    ]
    gun = [rod((6, -14, 24 + lift), (27, -14, 25 + lift), 2.8, part=3)]
    return [*head, *body, *arms, *gun]


def bots() -> tuple[Model, ...]:
    """Make the poses of an opponent: standing, walking (two), crouching."""
    return _bot(0, 0), _bot(5, 2), _bot(-5, 2), _bot(0, -16)
