"""Rules of the explore levels: goal locations, object locations, object rewards, obstructed goals (reference A6.1 to A6.4)."""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.items import add_item, take
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels.doors import draw_doors
from flexlam_rl.envs.litelab.levels.names import SHAPE_NAMES
from flexlam_rl.envs.litelab.levels.table import FEW, MANY, OBJECTS_LARGE, OBJECTS_SMALL
from flexlam_rl.envs.litelab.levels.theme import draw_theme
from flexlam_rl.envs.litelab.maze import APPLE, GOAL, SPAWN, generate, set_cells
from flexlam_rl.envs.litelab.physics import place
from flexlam_rl.envs.litelab.rng import below, shuffle

ITEM_Z = 16.125  # an item's origin: dropped to the floor (top at 1) with a radius of 15
PLAYER_Z = 25.125
GOAL_REWARD = 10
GOOD_REWARD = 2
BAD_REWARD = -1
APPLE_SHARE = 0.5  # of the apple cells hold an apple

# The 16 colours of the two-coloured objects.
PALETTE = np.array(
    [
        (0, 0, 0), (0, 0, 170), (0, 170, 0), (0, 170, 170), (170, 0, 0), (170, 0, 170), (170, 85, 0), (170, 170, 170),
        (85, 85, 85), (85, 85, 255), (85, 255, 85), (85, 255, 255), (255, 85, 85), (255, 85, 255), (255, 255, 85), (255, 255, 255),
    ],
    np.uint8,
)  # fmt: skip

_SHAPES = len(SHAPE_NAMES)
_STEP_ROW = np.array([0, -1, 0, 1])
_STEP_COL = np.array([1, 0, -1, 0])


@kernel
def find_letters(w, letter):
    """Cells that hold `letter`, in reading order, as row * cols + col."""
    found = np.empty(w.rows * w.cols, np.int32)
    n = 0
    for r in range(w.rows):
        for c in range(w.cols):
            if w.letter[r, c] == letter:
                found[n] = r * w.cols + c
                n += 1
    return found[:n]


@kernel
def reachable_from(w, row, col):
    """Cells that can be walked to from a cell if all doors were open: a (rows, cols) mask."""
    mask = np.zeros((w.rows, w.cols), np.uint8)
    stack = np.empty((w.rows * w.cols, 2), np.int32)
    mask[row, col] = 1
    stack[0, 0] = row
    stack[0, 1] = col
    n = 1
    while n > 0:
        n -= 1
        r, c = stack[n]
        for side in range(4):
            rr, cc = r + _STEP_ROW[side], c + _STEP_COL[side]
            if 0 <= rr < w.rows and 0 <= cc < w.cols and mask[rr, cc] == 0 and w.cell[rr, cc] != s.WALL:
                mask[rr, cc] = 1
                stack[n, 0] = rr
                stack[n, 1] = cc
                n += 1
    return mask


@kernel
def cell_x(w, cell):
    """East coordinate of the middle of a cell given as row * cols + col."""
    return s.CELL * (cell % w.cols) + 0.5 * s.CELL


@kernel
def cell_y(w, cell):
    """North coordinate of the middle of a cell given as row * cols + col."""
    return s.CELL * (w.rows - 1 - cell // w.cols) + 0.5 * s.CELL


@kernel
def add_item_in_cell(w, kind, look, cell, reward):
    """Add an item in the middle of a cell given as row * cols + col; returns its index."""
    k = add_item(w, kind, look, cell_x(w, cell), cell_y(w, cell), ITEM_Z, reward)
    w.items[k].cell[0] = cell // w.cols
    w.items[k].cell[1] = cell % w.cols
    return k


@kernel
def spawn_in_cell(w, cell):
    """Place the player in the middle of a cell, looking anywhere."""
    place(w, w.players[0], cell_x(w, cell), cell_y(w, cell), PLAYER_Z, below(w, 65536))


@kernel
def _spawns(w, mask):
    """The spawn cells inside a mask."""
    spawns = find_letters(w, SPAWN)
    n = 0
    for i in range(len(spawns)):
        if mask[spawns[i] // w.cols, spawns[i] % w.cols] == 1:
            spawns[n] = spawns[i]
            n += 1
    return spawns[:n]


@kernel
def begin(w):
    """Start of an episode: maze, look, and what stays the same in all of the episode."""
    objects = w.level == OBJECTS_LARGE or w.level == OBJECTS_SMALL
    rewards = w.level == FEW or w.level == MANY
    if w.given_maze == 0:
        generate(w, APPLE if objects or rewards else GOAL)
    else:
        set_cells(w)
    draw_theme(w)
    if objects:
        _choose_apples(w)
    elif rewards:
        _draw_categories(w)
    else:
        _choose_goal(w)


@kernel
def restart(w):
    """(Re)start of the map: everything taken is back, the player in a new place."""
    w.picked = 0
    if w.level == OBJECTS_LARGE or w.level == OBJECTS_SMALL:
        for k in range(w.item_count):
            w.items[k].active = 1
        spawns = find_letters(w, SPAWN)
        spawn_in_cell(w, spawns[below(w, len(spawns))])
    elif w.level == FEW or w.level == MANY:
        spawns = find_letters(w, SPAWN)
        spawn = spawns[below(w, len(spawns))]
        spawn_in_cell(w, spawn)
        _place_categories(w, spawn)
    else:
        w.items[0].active = 1
        spawns = _spawns(w, reachable_from(w, w.goal_row, w.goal_col))
        spawn = spawns[below(w, len(spawns))]
        spawn_in_cell(w, spawn)
        if w.has_doors == 1:
            draw_doors(w, spawn // w.cols, spawn % w.cols)


@kernel
def touch(w, item):
    """The player touches item number `item`: reward, and the end of the map when nothing is left to do in it."""
    take(w, item)
    it = w.items[item]
    w.reward += it.reward
    if it.kind == s.GOAL:
        w.map_over = 1
    elif it.reward > 0:
        w.picked += 1
        if w.picked == w.left:
            w.map_over = 1


@kernel
def _choose_goal(w):
    """One goal cell for the episode, from which some spawn cell can be reached."""
    goals = find_letters(w, GOAL)
    shuffle(w, goals, len(goals))
    goal = goals[0]
    for i in range(len(goals)):
        if len(_spawns(w, reachable_from(w, goals[i] // w.cols, goals[i] % w.cols))) > 0:
            goal = goals[i]
            break
    w.goal_row = goal // w.cols
    w.goal_col = goal % w.cols
    add_item_in_cell(w, s.GOAL, s.LOOK_GOAL, goal, GOAL_REWARD)


@kernel
def _choose_apples(w):
    """Half of the apple cells hold an apple, the same ones in all of the episode."""
    cells = find_letters(w, APPLE)
    shuffle(w, cells, len(cells))
    w.left = int(np.floor(APPLE_SHARE * len(cells)))
    for i in range(w.left):
        add_item_in_cell(w, s.REWARD, s.LOOK_APPLE, cells[i], 1)


@kernel
def _draw_categories(w):
    """A look for every category, fixed for the episode and all different: shape, pattern and two colours; the first ones are good."""
    w.left = w.good_categories
    for k in range(w.categories):
        new = False
        while not new:
            w.category_look[k] = s.SHAPES + below(w, _SHAPES)
            w.category_pattern[k] = 1 + below(w, s.SWIRLS)
            a = below(w, len(PALETTE))
            b = below(w, len(PALETTE) - 1)
            b += 1 if b >= a else 0
            for i in range(3):
                w.category_color[k, 0, i] = PALETTE[a, i]
                w.category_color[k, 1, i] = PALETTE[b, i]
            new = True
            for j in range(k):
                if w.category_look[j] == w.category_look[k] and w.category_pattern[j] == w.category_pattern[k]:
                    new = new and not (w.category_color[j] == w.category_color[k]).all()
        w.category_good[k] = 1 if k < w.good_categories else 0


@kernel
def _place_categories(w, spawn):
    """One object of every category, on a uniform choice among the slots that can be reached."""
    mask = reachable_from(w, spawn // w.cols, spawn % w.cols)
    slots = find_letters(w, APPLE)
    n = 0
    for i in range(len(slots)):
        if mask[slots[i] // w.cols, slots[i] % w.cols] == 1:
            slots[n] = slots[i]
            n += 1
    shuffle(w, slots, n)
    w.item_count = 0
    for k in range(min(n, w.categories)):
        reward = GOOD_REWARD if w.category_good[k] == 1 else BAD_REWARD
        i = add_item_in_cell(w, s.REWARD, w.category_look[k], slots[k], reward)
        w.items[i].pattern = w.category_pattern[k]
        w.items[i].color[:] = w.category_color[k]
        w.items[i].group = k
