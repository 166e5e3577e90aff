"""The 40 object shapes (reference A6.3), built of solids, in alphabetical order, which is also DeepMind Lab's order.

Sizes follow the recordings of the real engine: a shoe is 58 units long and 42 high, a ladder 95 high, a tomato 35 wide.
"""

import math
from collections.abc import Callable

import numpy as np

from flexlam_rl.envs.litelab.solids import Model, ball, brick, path, ring, rod, upright


def _legs(x: float, y: float, top: float, r: float) -> Model:
    return [upright(0, top, r, x=sx * x, y=sy * y) for sx in (-1, 1) for sy in (-1, 1)]


def _boxes_with_legs(x: float, y: float, top: float, half: float) -> Model:
    return [brick(sx * x, sy * y, top / 2, half, half, top / 2) for sx in (-1, 1) for sy in (-1, 1)]


def _car() -> Model:
    wheels = [rod((x, y - 3, 8), (x, y + 3, 8), 8) for x in (-24, 24) for y in (-16, 16)]
    return [brick(0, 0, 16, 41, 17, 8), brick(-4, 0, 29, 20, 15, 8), brick(15, 0, 26, 9, 14, 6, tilt=-35), *wheels]


def _flower() -> Model:
    petals = [ball(10 * math.cos(t), 0, 50 + 10 * math.sin(t), 6.5, 3, 6.5) for t in np.arange(6) * math.pi / 3]
    return [
        upright(0, 48, 2),
        *petals,
        ball(0, 0, 50, 6, 5, 6),
        ball(8, 0, 18, 10, 4, 3, tilt=30),
        ball(-8, 0, 26, 10, 4, 3, tilt=150),
    ]


def _fork() -> Model:
    tines = [upright(48, 68, 1.8, 1.2, x=x) for x in (-7.5, -2.5, 2.5, 7.5)]
    return [upright(0, 40, 3.4, 2.2), brick(0, 0, 44, 9, 2, 5), *tines]


def _guitar() -> Model:
    frets = [upright(40, 76, 3), brick(0, 0, 80, 5, 2.5, 6)]
    return [ball(0, 0, 15, 19, 6, 15), ball(0, 0, 34, 14, 6, 12), *frets]


def _jug() -> Model:
    handle = ring(15, 28, 11, 14, 2.6, 8, start=-90, turn=180)
    return [
        upright(0, 36, 18, 17),
        upright(36, 52, 17, 10),
        upright(52, 58, 13, 10),
        rod((-8, 0, 48), (-20, 0, 57), 5, 3),
        *handle,
    ]


def _ladder() -> Model:
    rungs = [rod((-22, 0, z), (22, 0, z), 2.6) for z in (12, 30, 48, 66, 84)]
    return [brick(-22, 0, 47.5, 3.5, 3, 47.5), brick(22, 0, 47.5, 3.5, 3, 47.5), *rungs]


def _plant() -> Model:
    leaves = [
        ball(12 * math.cos(t), 12 * math.sin(t), 42, 16, 4, 5, tilt=40, yaw=math.degrees(t))
        for t in np.arange(6) * math.pi / 3
    ]
    return [upright(0, 24, 11, 15), upright(20, 48, 2), ball(0, 0, 54, 5, 5, 12), *leaves]


def _saxophone() -> Model:
    tube = path([(-20, 66), (-12, 70), (-8, 62), (-4, 14), (4, 6), (13, 12), (20, 34)], [2, 2.5, 3, 5, 6, 7, 12])
    keys = [ball(-2, 5, z, 3) for z in (22, 34, 46)]
    return tube + keys


def _suitcase() -> Model:
    corners = [ball(sx * 30, sy * 10, z, 4.5) for sx in (-1, 1) for sy in (-1, 1) for z in (4, 42)]
    return [brick(0, 0, 23, 31, 11, 20), *corners, *ring(0, 43, 10, 9, 2.2, 6, start=0, turn=180)]


def _tennis_racket() -> Model:
    strings = [rod((x, 0, 45), (x, 0, 79), 0.8) for x in (-8, 0, 8)] + [
        rod((-14, 0, z), (14, 0, z), 0.8) for z in (52, 62, 72)
    ]
    return [
        upright(0, 24, 3.4),
        rod((0, 0, 24), (-9, 0, 46), 2),
        rod((0, 0, 24), (9, 0, 46), 2),
        *ring(0, 62, 16, 20, 2.2, 12),
        *strings,
    ]


def _toothbrush() -> Model:
    bristles = [rod((-14.5 + 4.2 * i, 0, 75 - 0.2 * i), (-12.5 + 4.2 * i, 0, 89 - 0.2 * i), 1.7) for i in range(4)]
    return [rod((24, 0, 0), (-1, 0, 72), 4.2, 3), brick(-7, 0, 76, 10.5, 4, 3, tilt=-4), *bristles]


def _tv() -> Model:
    frame = [
        brick(0, 0, 52, 34, 12, 4),
        brick(0, 0, 14, 34, 12, 4),
        brick(-30, 0, 33, 4, 12, 16),
        brick(30, 0, 33, 4, 12, 16),
    ]
    return [
        *frame,
        brick(0, 0, 33, 28, 6, 16),
        ball(0, 7, 33, 24, 3, 14),
        upright(0, 12, 4, x=-20),
        upright(0, 12, 4, x=20),
        rod((0, 0, 55), (-16, 0, 74), 1.5),
        rod((0, 0, 55), (16, 0, 74), 1.5),
    ]


def _cow() -> Model:
    head = [
        ball(-36, 0, 44, 11, 8, 8, tilt=20),
        rod((-33, -8, 50), (-37, -12, 58), 2),
        rod((-33, 8, 50), (-37, 12, 58), 2),
    ]
    return [
        ball(0, 0, 34, 32, 14, 14),
        brick(4, 0, 36, 26, 12, 11),
        *head,
        *_legs(21, 8, 26, 4),
        ball(10, 0, 21, 6, 6, 5),
        rod((31, 0, 44), (38, 0, 20), 1.8),
    ]


def _pig() -> Model:
    head = [
        ball(-28, 0, 30, 13, 12, 13),
        rod((-38, 0, 28), (-44, 0, 28), 6),
        ball(-26, -8, 43, 4, 3, 6),
        ball(-26, 8, 43, 4, 3, 6),
    ]
    return [ball(0, 0, 29, 30, 19, 20), *head, *_legs(15, 10, 16, 5.5), *ring(33, 34, 4, 4, 1.6, 6)]


def _zebra() -> Model:
    neck = [
        rod((-20, 0, 42), (-32, 0, 66), 9, 6),
        ball(-38, 0, 64, 11, 5, 6, tilt=30),
        brick(-25, 0, 62, 3, 1.6, 11, tilt=-25),
    ]
    return [
        ball(0, 0, 40, 29, 11, 13),
        *neck,
        *_legs(20, 6, 36, 3),
        rod((28, 0, 46), (36, 0, 24), 1.8),
        ball(-30, -4, 74, 2, 1.5, 4),
        ball(-30, 4, 74, 2, 1.5, 4),
    ]


_OBJECTS: dict[str, Callable[[], Model]] = {
    "apple2": lambda: [
        ball(-5, 0, 17, 14.5, 18, 17),
        ball(5, 0, 17, 14.5, 18, 17),
        rod((0, 0, 30), (4, 0, 41), 1.8),
        ball(10, 0, 40, 6, 2.5, 2.5, tilt=20),
    ],
    "ball": lambda: [ball(0, 0, 19, 19)],
    "balloon": lambda: [ball(0, 0, 40, 23, 23, 25), upright(8, 32, 3, 20), upright(3, 9, 5, 1.5)],
    "banana": lambda: path(
        [(-32, 30), (-24, 16), (-10, 7), (6, 6), (21, 14), (29, 28), (31, 36)], [2, 5.5, 8, 8.5, 7, 4, 2]
    ),
    "bottle": lambda: [upright(0, 36, 11), upright(36, 48, 11, 4.5), upright(48, 60, 4.5), upright(60, 65, 6)],
    "cake": lambda: [
        upright(0, 18, 29),
        upright(18, 32, 23),
        *[upright(32, 41, 2, x=12 * math.cos(t), y=12 * math.sin(t)) for t in np.arange(5) * 1.2566],
    ],
    "can": lambda: [upright(0, 3, 12, 15), upright(3, 44, 15), upright(44, 48, 15, 12)],
    "car": _car,
    "cassette": lambda: [
        brick(0, 0, 41, 38, 5, 8),
        brick(0, 0, 8, 38, 6, 8),
        brick(-30, 0, 24, 8, 5, 10),
        brick(30, 0, 24, 8, 5, 10),
        *ring(-11, 24, 5, 5, 3, 6),
        *ring(11, 24, 5, 5, 3, 6),
    ],
    "chair": lambda: [
        brick(0, 0, 28, 18, 18, 2.5),
        *_boxes_with_legs(15.5, 15.5, 26, 2.5),
        brick(16, 0, 57, 2, 18, 8),
        brick(16, -15, 42, 2, 2.5, 22),
        brick(16, 15, 42, 2, 2.5, 22),
    ],
    "cherries": lambda: [
        ball(-14, 0, 13, 13),
        ball(14, 0, 13, 13),
        rod((-14, 0, 24), (2, 0, 52), 1.6),
        rod((14, 0, 24), (2, 0, 52), 1.6),
        ball(12, 0, 52, 11, 4, 3, tilt=15),
    ],
    "cow": _cow,
    "flower": _flower,
    "fork": _fork,
    "fridge": lambda: [
        brick(0, 0, 24, 18, 16, 24),
        brick(0, 0, 62, 18, 16, 12),
        brick(0, 0, 49, 16.5, 14.5, 2),
        brick(-15, 17, 34, 1.5, 2.5, 8),
        brick(-15, 17, 60, 1.5, 2.5, 6),
    ],
    "guitar": _guitar,
    "hair_brush": lambda: [
        upright(0, 34, 4, 3),
        brick(0, 0, 53, 11, 3, 19),
        *[rod((x, 3, z), (x, 11, z), 1.6) for x in (-7, 0, 7) for z in (39, 48, 57, 66)],
    ],
    "hammer": lambda: [
        upright(0, 56, 4, 3),
        brick(0, 0, 58, 16, 6.5, 6.5),
        rod((-16, 0, 58), (-22, 0, 58), 8),
        brick(21, 0, 55, 7, 5, 2.5, tilt=-20),
    ],
    "hat": lambda: [upright(0, 3, 29), upright(3, 34, 17, 15), upright(3, 9, 18)],
    "ice_lolly": lambda: [brick(0, 0, 38, 15.5, 6, 20), rod((0, -6, 52), (0, 6, 52), 15.5), upright(0, 20, 3.2)],
    "jug": _jug,
    "key": lambda: [
        upright(0, 42, 3.2),
        *ring(0, 52, 13, 11, 3.4, 10),
        brick(8, 0, 4, 6, 2.5, 3),
        brick(8, 0, 14, 5, 2.5, 3),
    ],
    "knife": lambda: [brick(0, 0, 13, 4, 3, 13), brick(1, 0, 44, 5.5, 1, 19), ball(1, 0, 61, 5.5, 1, 9)],
    "ladder": _ladder,
    "mug": lambda: [upright(0, 36, 16), *ring(17, 18, 11, 12, 2.8, 8, start=-90, turn=180)],
    "pencil": lambda: [
        rod((25, 0, 4), (-16, 0, 50), 4),
        rod((-16, 0, 50), (-24, 0, 59), 4, 0.4),
        rod((25, 0, 4), (28, 0, 0.5), 4.4),
    ],
    "pig": _pig,
    "pincer": lambda: [
        *path([(-10, 0), (-9, 20), (0, 38)], [3.5, 3.5, 4.5]),
        *path([(10, 0), (9, 20), (0, 38)], [3.5, 3.5, 4.5]),
        *path([(0, 38), (-12, 50), (-2, 66)], [4.5, 4, 1.5]),
        *path([(0, 38), (12, 50), (2, 66)], [4.5, 4, 1.5]),
    ],
    "plant": _plant,
    "saxophone": _saxophone,
    "shoe": lambda: [
        brick(-2, 0, 3, 30, 10, 3),
        ball(-14, 0, 10, 18, 9, 9),
        brick(14, 0, 24, 13, 9, 19),
        brick(2, 0, 13, 12, 9, 8),
    ],
    "spoon": lambda: [upright(0, 46, 3.4, 2.2), ball(0, 0, 56, 9.5, 3, 13)],
    "suitcase": _suitcase,
    "tennis_racket": _tennis_racket,
    "tomato": lambda: [
        ball(0, 0, 13, 17.5, 17.5, 13),
        ball(0, 0, 26, 7, 2, 1.5),
        ball(0, 0, 26, 2, 7, 1.5),
        upright(25, 31, 1.5),
    ],
    "toothbrush": _toothbrush,
    "tree": lambda: [upright(0, 12, 4.5), upright(10, 32, 21, 7), upright(24, 46, 16, 4), upright(38, 58, 11, 0.5)],
    "tv": _tv,
    "wine_glass": lambda: [
        upright(0, 3, 12.5),
        upright(3, 34, 1.8),
        ball(0, 0, 42, 12, 12, 10),
        upright(42, 62, 12, 10.5),
    ],
    "zebra": _zebra,
}

SHAPE_NAMES: tuple[str, ...] = tuple(_OBJECTS)


def object_model(name: str) -> Model:
    """Make the model of one of the 40 object shapes.

    Raises:
        ValueError: `name` is not one of `SHAPE_NAMES`.
    """
    if name not in _OBJECTS:
        raise ValueError(f"Unknown object shape {name!r}; expected one of {', '.join(SHAPE_NAMES)}.")
    return _OBJECTS[name]()
