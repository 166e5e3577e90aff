"""Rules of language_execute_random_task: a fixed map, an instruction and objects to choose from (reference A6.5)."""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.items import take
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels.grid import add_item_in_cell, find_letters, spawn_in_cell
from flexlam_rl.envs.litelab.levels.language_maps import (
    FOUR_ROOMS,
    SIX_ROOMS,
    TWO_AREAS,
    TWO_ROOMS,
    load_map,
    match_map,
)
from flexlam_rl.envs.litelab.levels.names import COLOR_NAMES, COLOR_RGB, SHAPE_NAMES
from flexlam_rl.envs.litelab.levels.theme import draw_theme
from flexlam_rl.envs.litelab.maze import SLOT, SPAWN, set_cells
from flexlam_rl.envs.litelab.rng import below, between, normal, shuffle

GOAL_REWARD = 10
COLOR_NOISE = 1.0  # standard deviation of each channel

# Kinds of tasks.
PICK, PICK_BOTH, ALL_SHAPE, ALL_COLOR, SHAPE_NEAR_SHAPE, SHAPE_NEAR_COLOR, COLOR_NEAR_COLOR = range(7)
TWO = TWO_AREAS  # either of the two maps with two rooms

# Rows: weight, kind, map, objects at most. Weights sum to 19.
TASKS = np.array(
    [
        (2, PICK, TWO, 3),
        (1, PICK, FOUR_ROOMS, 5),
        (1, PICK, SIX_ROOMS, 9),
        (2, PICK_BOTH, TWO, 3),
        (1, PICK_BOTH, FOUR_ROOMS, 7),
        (1, PICK_BOTH, SIX_ROOMS, 11),
        (2, ALL_SHAPE, TWO, 4),
        (1, ALL_SHAPE, FOUR_ROOMS, 8),
        (2, ALL_COLOR, TWO, 4),
        (1, ALL_COLOR, FOUR_ROOMS, 8),
        (2, SHAPE_NEAR_SHAPE, TWO, 4),
        (1, SHAPE_NEAR_SHAPE, FOUR_ROOMS, 8),
        (1, SHAPE_NEAR_COLOR, FOUR_ROOMS, 8),
        (1, COLOR_NEAR_COLOR, FOUR_ROOMS, 8),
    ],
    np.int32,
)
FEWEST_SLOTS = 3

# Groups of objects (an item's `group`).
DISTRACTOR, TARGET = range(2)

_COLORS = len(COLOR_NAMES)
_SHAPES = len(SHAPE_NAMES)
_RGB = np.array(COLOR_RGB, np.float64)
_WEIGHT, _KIND, _MAP, _OBJECTS = range(4)
# w.words: color and shape of the target, then those of the object near it; -1 if the instruction does not name one
_COLOR, _SHAPE, _NEAR_COLOR, _NEAR_SHAPE = range(4)


@kernel
def penalty(bonus, distractors):
    """Reward for touching one of `distractors` wrong objects, if a right answer gives `bonus`."""
    return -int(np.floor(bonus / distractors + 0.5))


@kernel
def begin(w):
    """Begin an episode: prepare a maze given by the user; everything else is drawn at restarts."""
    w.variant = 255
    if w.given_maze == 1:
        set_cells(w)
        w.variant = match_map(w)


@kernel
def restart(w):
    """(Re)start with a new task: draw its map, look, instruction and objects."""
    _draw_task(w)
    draw_theme(w)
    spawns = find_letters(w, SPAWN)
    spawn_in_cell(w, spawns[below(w, len(spawns))])
    w.item_count = 0
    w.picked = 0
    w.left = 1
    w.words[:] = -1
    slots = find_letters(w, SLOT)
    kind = TASKS[w.task, _KIND]
    objects = TASKS[w.task, _OBJECTS]
    if kind == PICK:
        shuffle(w, slots, len(slots))
        _pick(w, slots, objects)
    elif kind == PICK_BOTH:
        shuffle(w, slots, len(slots))
        _pick_both(w, slots, objects)
    elif kind in (ALL_SHAPE, ALL_COLOR):
        shuffle(w, slots, len(slots))
        _every(w, slots, objects, kind)
    else:
        _near(w, kind)


@kernel
def touch(w, item):
    """Handle the touch of item number `item`: the last wanted object, or any wrong one, ends the map."""
    take(w, item)
    it = w.items[item]
    every = TASKS[w.task, _KIND] == ALL_SHAPE or TASKS[w.task, _KIND] == ALL_COLOR
    if it.group == TARGET:
        w.picked += 1
        w.reward += 1 if every else 0
        if w.picked == w.left:
            w.reward += GOAL_REWARD
            w.map_over = 1
        return
    distractors = 0
    for k in range(w.item_count):
        distractors += 1 if w.items[k].group == DISTRACTOR else 0
    w.reward += penalty(GOAL_REWARD + (w.left if every else 0), distractors)
    w.map_over = 1


@kernel
def _fits(w, task, slots):
    """Whether a task is possible on its own map, or on a maze given by the user."""
    if w.given_maze == 0:
        return True
    if w.variant == 255:  # not one of the level's maps, so it has no rooms in which objects are near each other
        return TASKS[task, _KIND] <= ALL_COLOR and TASKS[task, _OBJECTS] <= slots
    return TASKS[task, _MAP] == (TWO if w.variant == TWO_ROOMS else w.variant)


@kernel
def _draw_task(w):
    slots = len(find_letters(w, SLOT)) if w.given_maze == 1 else 0
    total = 0
    for k in range(len(TASKS)):
        total += TASKS[k, _WEIGHT] if _fits(w, k, slots) else 0
    x = below(w, total)
    for k in range(len(TASKS)):
        if _fits(w, k, slots):
            x -= TASKS[k, _WEIGHT]
            if x < 0:
                w.task = k
                break
    if w.given_maze == 0:
        which = TASKS[w.task, _MAP]
        if which == TWO:
            which = TWO_AREAS if below(w, 2) == 0 else TWO_ROOMS
        w.variant = which
        load_map(w, which)
        set_cells(w)


@kernel
def _other(w, n, a, b):
    """Draw a number in [0, n) that is neither `a` nor `b`."""
    while True:
        x = below(w, n)
        if x != a and x != b:
            return x


@kernel
def _add(w, slot, color, shape, group):
    k = add_item_in_cell(w, s.REWARD, s.SHAPES + shape, slot, 0)
    it = w.items[k]
    it.pattern = s.SOLID
    it.group = group
    for i in range(3):
        it.color[0, i] = int(min(255.0, max(0.0, np.floor(_RGB[color, i] + COLOR_NOISE * normal(w) + 0.5))))
        it.color[1, i] = it.color[0, i]


@kernel
def _pick(w, slots, objects):
    """Place a target that differs from all other objects in color and shape; the instruction names one or both."""
    color, shape = below(w, _COLORS), below(w, _SHAPES)
    named = below(w, 3)
    w.words[_COLOR] = color if named != 1 else -1
    w.words[_SHAPE] = shape if named != 0 else -1
    _add(w, slots[0], color, shape, TARGET)
    for i in range(1, objects):
        _add(w, slots[i], _other(w, _COLORS, color, color), _other(w, _SHAPES, shape, shape), DISTRACTOR)


@kernel
def _pick_both(w, slots, objects):
    """Place a target among objects of which half have its color and half its shape; the instruction names both."""
    color, shape = below(w, _COLORS), below(w, _SHAPES)
    w.words[_COLOR] = color
    w.words[_SHAPE] = shape
    _add(w, slots[0], color, shape, TARGET)
    for i in range(1, objects):
        if i % 2 == 1:
            _add(w, slots[i], color, _other(w, _SHAPES, shape, shape), DISTRACTOR)
        else:
            _add(w, slots[i], _other(w, _COLORS, color, color), shape, DISTRACTOR)


@kernel
def _every(w, slots, objects, kind):
    """Place at least two targets of one shape or color, and at least two other objects."""
    if objects > 4:
        objects = between(w, 4, objects)
    w.left = between(w, 2, objects - 2)
    color = below(w, _COLORS) if kind == ALL_COLOR else -1
    shape = below(w, _SHAPES) if kind == ALL_SHAPE else -1
    w.words[_COLOR] = color
    w.words[_SHAPE] = shape
    for i in range(objects):
        if i < w.left:
            _add(
                w,
                slots[i],
                color if color >= 0 else below(w, _COLORS),
                shape if shape >= 0 else below(w, _SHAPES),
                TARGET,
            )
        else:
            _add(w, slots[i], _other(w, _COLORS, color, color), _other(w, _SHAPES, shape, shape), DISTRACTOR)


@kernel
def _near(w, kind):
    """Place a pair of objects in each room: the target with its anchor in one, and in the others pairs that have only
    one of them or neither.
    """
    colors = kind == COLOR_NEAR_COLOR
    near_color = kind != SHAPE_NEAR_SHAPE
    target = below(w, _COLORS if colors else _SHAPES)
    anchor = _other(w, _COLORS, target if colors else -1, -1) if near_color else _other(w, _SHAPES, target, -1)
    w.words[_COLOR if colors else _SHAPE] = target
    w.words[_NEAR_COLOR if near_color else _NEAR_SHAPE] = anchor
    common = below(w, _SHAPES)  # if only colors are named, all objects have one shape
    rooms = 4 if w.variant == FOUR_ROOMS else 2
    order = np.arange(rooms)
    shuffle(w, order, rooms)
    cells = np.empty(2, np.int32)
    for i in range(rooms):
        n = 0
        for r in range(w.rows):
            for c in range(w.cols):
                if w.letter[r, c] == SLOT and _room(w, r, c) == order[i]:
                    cells[n] = r * w.cols + c
                    n += 1
        shuffle(w, cells, 2)
        # by room: target and anchor, an object like the target, an object like the anchor, neither
        for j in range(2):
            is_target = j == 0 and i < 2
            is_anchor = j == 1 and i % 2 == 0
            color, shape = below(w, _COLORS), below(w, _SHAPES)
            if colors:
                shape = common
                color = target if is_target else anchor if is_anchor else _other(w, _COLORS, target, anchor)
            elif near_color:
                shape = target if is_target else _other(w, _SHAPES, target, target)
                color = anchor if is_anchor else _other(w, _COLORS, anchor, anchor)
            else:
                shape = target if is_target else anchor if is_anchor else _other(w, _SHAPES, target, anchor)
            _add(w, cells[j], color, shape, TARGET if i == 0 and j == 0 else DISTRACTOR)


@kernel
def _room(w, r, c):
    """Number of a slot's room, by the half or quarter of the map."""
    if w.variant == FOUR_ROOMS:
        return 0 if r < 3 else 3 if r > 5 else 1 if c < 4 else 2
    return 0 if c < w.cols // 2 else 1


def instruction(w: np.void) -> str:
    """Make the instruction (INSTR) of a language world, such as "cyan hat" or "wine_glass near magenta object"."""
    kind = TASKS[w["task"], _KIND]
    color, shape, near_color, near_shape = (int(x) for x in w["words"])
    words = ["Every"] if kind in (ALL_SHAPE, ALL_COLOR) else []
    if color >= 0:
        words.append(COLOR_NAMES[color])
    if shape >= 0:
        words.append(SHAPE_NAMES[shape])
    elif kind in (ALL_COLOR, COLOR_NEAR_COLOR):
        words.append("object")
    if near_color >= 0:
        words += ["near", COLOR_NAMES[near_color], "object"]
    elif near_shape >= 0:
        words += ["near", SHAPE_NAMES[near_shape]]
    return " ".join(words)
