"""Solids of which models are built: ellipsoids, boxes and round rods, and their intersection with rays.

A model is a list of primitives, each with a part number: part 0 has an object's own colors, parts 1 to 7 have those
given with the model. Units are world units at medium scale; x points forward, y to the left, z up, and a model stands
on z = 0.
"""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from flexlam_rl.envs.litelab.kernel import kernel

BALL, BRICK, ROD = range(3)

# One primitive: kind, part, taper (top radius over bottom radius of a rod), then the rows of the 3x3 matrix and the
# offset that transform model space to the primitive's own space (unit ball; cube of half width 1; rod of bottom radius
# 1 along z from -1 to 1).
Primitive = tuple[int, int, float, NDArray[np.float64], NDArray[np.float64]]
Model = list[Primitive]


def _frame(direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make a matrix whose rows are two unit vectors across `direction`, and its own unit vector."""
    axis = direction / np.linalg.norm(direction)
    helper = np.array([0.0, 0.0, 1.0]) if abs(axis[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    across = np.cross(helper, axis)
    across /= np.linalg.norm(across)
    return np.array([across, np.cross(axis, across), axis])


def _turn(tilt: float, yaw: float) -> NDArray[np.float64]:
    """Rotation by `tilt` degrees about y (x towards z), then by `yaw` degrees about z."""
    a, b = math.radians(tilt), math.radians(yaw)
    about_y = np.array([[math.cos(a), 0, -math.sin(a)], [0, 1, 0], [math.sin(a), 0, math.cos(a)]])
    about_z = np.array([[math.cos(b), -math.sin(b), 0], [math.sin(b), math.cos(b), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y)


def ball(
    x: float,
    y: float,
    z: float,
    rx: float,
    ry: float | None = None,
    rz: float | None = None,
    tilt: float = 0,
    yaw: float = 0,
    part: int = 0,
) -> Primitive:
    """Make an ellipsoid from its center and half axes."""
    size = np.array([rx, rx if ry is None else ry, rx if rz is None else rz])
    return BALL, part, 1.0, (_turn(tilt, yaw) / size).T, np.array([x, y, z], float)


def brick(
    x: float, y: float, z: float, hx: float, hy: float, hz: float, tilt: float = 0, yaw: float = 0, part: int = 0
) -> Primitive:
    """Make a box from its center and half widths."""
    return BRICK, part, 1.0, (_turn(tilt, yaw) / np.array([hx, hy, hz])).T, np.array([x, y, z], float)


def rod(
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    r0: float,
    r1: float | None = None,
    part: int = 0,
) -> Primitive:
    """Make a round rod (cylinder or cone) from `start` to `end`, with the radii at its ends."""
    a, b = np.array(start, float), np.array(end, float)
    if r1 is not None and r1 > r0:  # the wider end becomes the bottom, so that the taper is at most 1
        a, b, r0, r1 = b, a, r1, r0
    taper = 1.0 if r1 is None else max(r1 / r0, 1e-3)
    half = np.linalg.norm(b - a) / 2
    return ROD, part, taper, _frame(b - a) / np.array([[r0], [r0], [half]]), (a + b) / 2


def upright(
    z0: float, z1: float, r0: float, r1: float | None = None, x: float = 0, y: float = 0, part: int = 0
) -> Primitive:
    """Make an upright rod."""
    return rod((x, y, z0), (x, y, z1), r0, r1, part)


def ring(
    x: float,
    z: float,
    rx: float,
    rz: float,
    thick: float,
    pieces: int = 10,
    part: int = 0,
    start: float = 0,
    turn: float = 360,
) -> Model:
    """Make an upright ring, or an arc of `turn` degrees from `start`, of straight pieces in the plane of x and z."""
    at = [math.radians(start + turn * i / pieces) for i in range(pieces + 1)]
    points = [(x + rx * math.cos(t), 0.0, z + rz * math.sin(t)) for t in at]
    return [rod(a, b, thick, part=part) for a, b in itertools.pairwise(points)]


def path(points: list[tuple[float, float]], radii: list[float], part: int = 0) -> Model:
    """Make a bent rod through points (x, z), with the radius at each, and a ball at each joint."""
    at = [(x, 0.0, z) for x, z in points]
    rods = [rod(a, b, p, q, part) for a, b, p, q in zip(at[:-1], at[1:], radii[:-1], radii[1:], strict=True)]
    return rods + [ball(*a, r, part=part) for a, r in zip(at[1:-1], radii[1:-1], strict=True)]


def _reach(primitive: Primitive, direction: NDArray[np.float64]) -> float:
    """Extent of a primitive in a direction."""
    kind, _, _, matrix, centre = primitive
    parts = np.abs(np.linalg.inv(matrix).T @ direction)
    if kind == BALL:
        half = np.hypot(np.hypot(parts[0], parts[1]), parts[2])
    elif kind == BRICK:
        half = parts.sum()
    else:
        half = np.hypot(parts[0], parts[1]) + parts[2]
    return float(centre @ direction + half)


def extent(model: Model) -> tuple[float, float, float]:
    """Find (radius about the z axis, lowest z, highest z) that enclose the model."""
    around = [np.array([math.cos(t), math.sin(t), 0.0]) for t in np.arange(24) * (math.pi / 12)]
    radius = max(_reach(p, d) for p in model for d in around)
    up = np.array([0.0, 0.0, 1.0])
    return radius, min(-_reach(p, -up) for p in model), max(_reach(p, up) for p in model)


def pack(model: Model) -> NDArray[np.float64]:
    """Pack a model into rows of 16: kind, part, taper, matrix (9), center (3), squared radius of an enclosing ball."""
    rows = []
    for kind, part, taper, matrix, centre in model:
        lengths = np.linalg.norm(np.linalg.inv(matrix), axis=0)
        far = {BALL: lengths.max(), BRICK: np.linalg.norm(lengths), ROD: np.hypot(lengths[0], lengths[2])}[kind]
        rows.append([kind, part, taper, *matrix.ravel(), *centre, far**2])
    return np.array(rows, np.float64)


@kernel
def meet(prim, ox, oy, oz, dx, dy, dz, normal):
    """Distance along a ray to a primitive, or a huge number; writes the outward normal, not of unit length, in model
    space to `normal`.
    """
    kind = int(prim[0])
    m = prim[3:12]
    px, py, pz = ox - prim[12], oy - prim[13], oz - prim[14]
    a0 = m[0] * px + m[1] * py + m[2] * pz
    a1 = m[3] * px + m[4] * py + m[5] * pz
    a2 = m[6] * px + m[7] * py + m[8] * pz
    d0 = m[0] * dx + m[1] * dy + m[2] * dz
    d1 = m[3] * dx + m[4] * dy + m[5] * dz
    d2 = m[6] * dx + m[7] * dy + m[8] * dz
    best = 1e9
    n0, n1, n2 = 0.0, 0.0, 0.0
    if kind == 0:  # ball
        a = d0 * d0 + d1 * d1 + d2 * d2
        b = a0 * d0 + a1 * d1 + a2 * d2
        disc = b * b - a * (a0 * a0 + a1 * a1 + a2 * a2 - 1.0)
        if disc > 0.0:
            best = (-b - np.sqrt(disc)) / a
            n0, n1, n2 = a0 + best * d0, a1 + best * d1, a2 + best * d2
    elif kind == 1:  # brick
        enter, leave, axis, sign = -1e9, 1e9, 0, 1.0
        for k in range(3):
            a = a0 if k == 0 else (a1 if k == 1 else a2)
            d = d0 if k == 0 else (d1 if k == 1 else d2)
            if abs(d) < 1e-12:
                if abs(a) > 1.0:
                    leave = -1e9
                continue
            near = (-1.0 - a) / d if d > 0.0 else (1.0 - a) / d
            far = (1.0 - a) / d if d > 0.0 else (-1.0 - a) / d
            if near > enter:
                enter, axis, sign = near, k, -1.0 if d > 0.0 else 1.0
            leave = min(leave, far)
        if enter < leave:
            best = enter
            n0 = sign if axis == 0 else 0.0
            n1 = sign if axis == 1 else 0.0
            n2 = sign if axis == 2 else 0.0
    else:  # rod: radius 1 at z = -1, taper at z = 1
        slope = 0.5 * (prim[2] - 1.0)
        middle = 0.5 * (prim[2] + 1.0)
        ra, rd = middle + slope * a2, slope * d2
        a = d0 * d0 + d1 * d1 - rd * rd
        b = a0 * d0 + a1 * d1 - ra * rd
        disc = b * b - a * (a0 * a0 + a1 * a1 - ra * ra)
        if disc > 0.0 and abs(a) > 1e-12:
            root = np.sqrt(disc)
            for sign in (-1.0, 1.0):
                t = (-b + sign * root) / a
                z = a2 + t * d2
                if t < best and -1.0 <= z <= 1.0 and middle + slope * z >= 0.0:
                    best = t
                    n0, n1, n2 = a0 + t * d0, a1 + t * d1, -slope * (middle + slope * z)
        if abs(d2) > 1e-12:
            for sign in (-1.0, 1.0):
                t = (sign - a2) / d2
                x, y, r = a0 + t * d0, a1 + t * d1, middle + slope * sign
                if t < best and x * x + y * y <= r * r:
                    best = t
                    n0, n1, n2 = 0.0, 0.0, sign
    if best < 1e8:
        normal[0] = m[0] * n0 + m[3] * n1 + m[6] * n2
        normal[1] = m[1] * n0 + m[4] * n1 + m[7] * n2
        normal[2] = m[2] * n0 + m[5] * n1 + m[8] * n2
    return best
