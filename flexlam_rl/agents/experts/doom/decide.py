"""The decisions of the scripted expert of ViZDoom, one step at a time.

It decides by what the engine lists as in view: it turns to monsters and shoots, walks to what can be picked up, steps
aside from fire, and otherwise explores.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from flexlam_rl.envs.domains.vizdoom.actions import LABELS
from flexlam_rl.envs.domains.vizdoom.env import DoomEnv, Thing

_ACTION = {label: number for number, label in enumerate(LABELS)}
_STANDING = ("basic", "defend_the_center", "defend_the_line", "predict_position")
_UNARMED = ("health_gathering", "health_gathering_supreme", "my_way_home", "take_cover")
_WANTED = ("Health", "Armor", "Weapon", "Ammo", "Powerup")
_ROCKET, _FUSE = 20.0, 12  # speed of a rocket in map units per tic, and tics from the button to its start
_NEAR = 0.12  # share of half the view: about five degrees, within which Doom aims by itself


@dataclass
class Memory:
    """What the expert remembers of an episode.

    Attributes:
        place: Its position one step before.
        walked: Whether it tried to walk in that step.
        side: Side to which it turns or steps next: -1 left, 1 right.
        turning: Number of steps for which it goes on turning.
        target: Position of the monster that it aims at, one step before.
        random: Generator of its random choices.
    """

    place: tuple[float, float] = (math.inf, math.inf)
    walked: bool = False
    side: int = 1
    turning: int = 0
    target: tuple[float, float] | None = None
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))


def decide(env: DoomEnv, memory: Memory) -> int:
    """Choose an action and update the memory.

    Returns:
        The number of the action.
    """
    x, y, angle = env.pose()
    things = env.in_view()
    stuck = memory.walked and math.dist((x, y), memory.place) < 3.0
    memory.place = (x, y)
    if stuck:
        if memory.random.random() < 0.2:  # mostly keeps the same side, so that it follows the walls
            memory.side = -memory.side
        memory.turning = int(memory.random.integers(2, 7))
    label = _choose(env, things, (x, y, angle), memory, stuck)
    memory.walked = "forward" in label or label in ("left", "right")
    return _ACTION[label]


def _choose(env: DoomEnv, things: list[Thing], pose: tuple[float, float, float], memory: Memory, stuck: bool) -> str:
    task = env.level
    if task == "take_cover":
        return _dodge(things, memory, stuck)
    monsters = [thing for thing in things if thing.kind == "Monster"]
    if monsters and task not in _UNARMED:
        nearest = min(monsters, key=lambda thing: math.dist(thing.place, pose[:2]))
        return _lead(nearest, pose, memory, env.env_spec.frame_skip) if task == "predict_position" else _shoot(nearest)
    if task in _STANDING:
        return _turn(1)
    if memory.turning > 0:
        memory.turning -= 1
        return _turn(memory.side)
    wanted = [thing for thing in things if thing.kind in _WANTED]
    if wanted:
        return _walk_to(min(wanted, key=lambda thing: math.dist(thing.place, pose[:2])))
    if memory.random.random() < 0.04:  # now and then takes another direction
        memory.side = int(memory.random.choice((-1, 1)))
        memory.turning = int(memory.random.integers(2, 8))
    return "forward"


def _turn(side: int) -> str:
    return "turn right" if side > 0 else "turn left"


def _middle(thing: Thing) -> float:
    return (thing.left + thing.right) / 2


def _shoot(thing: Thing) -> str:
    if thing.left <= 0.0 <= thing.right or abs(_middle(thing)) < _NEAR / 2:
        return "attack"
    if abs(_middle(thing)) < _NEAR:
        return "right and attack" if _middle(thing) > 0 else "left and attack"
    return _turn(1 if _middle(thing) > 0 else -1)


def _walk_to(thing: Thing) -> str:
    at = _middle(thing)
    if abs(at) < 2 * _NEAR:
        return "forward"
    return "forward and turn right" if at > 0 else "forward and turn left"


def _lead(thing: Thing, pose: tuple[float, float, float], memory: Memory, tics: int) -> str:
    """Aim ahead of a monster, and fire the only rocket when its path will cross the monster's."""
    before, memory.target = memory.target or thing.place, thing.place
    steps = (math.dist(thing.place, pose[:2]) / _ROCKET + _FUSE) / tics
    x, y = (at + steps * (at - was) for at, was in zip(thing.place, before, strict=True))
    off = (math.degrees(math.atan2(y - pose[1], x - pose[0])) - pose[2] + 180.0) % 360.0 - 180.0
    if abs(off) < 2.5:
        return "attack"
    return "noop" if abs(off) < 5.0 else _turn(-1 if off > 0 else 1)


def _dodge(things: list[Thing], memory: Memory, stuck: bool) -> str:
    """Step aside from incoming fire, and away from a wall once it is reached."""
    if stuck:
        memory.side = -memory.side
    elif memory.turning > 0:
        memory.turning -= 1
    else:
        balls = [thing for thing in things if thing.name == "DoomImpBall"]
        wide = max(balls, key=lambda thing: thing.right - thing.left, default=None)
        if wide is None:
            return "noop"
        memory.side = -1 if _middle(wide) > 0 else 1
    if stuck:
        memory.turning = 8
    return "right" if memory.side > 0 else "left"
