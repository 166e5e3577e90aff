"""Rules of the explore levels: goal locations, object locations, object rewards, obstructed goals (reference A6.1 to
A6.4), and of litelab's own maze without rewards.
"""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.items import take
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels import quadrants
from flexlam_rl.envs.litelab.levels.doors import draw_doors
from flexlam_rl.envs.litelab.levels.grid import add_item_in_cell, find_letters, reachable_from, spawn_in_cell, spawns_in
from flexlam_rl.envs.litelab.levels.names import SHAPE_NAMES
from flexlam_rl.envs.litelab.levels.table import FEW, MANY, OBJECTS_LARGE, OBJECTS_SMALL, QUADRANTS
from flexlam_rl.envs.litelab.levels.theme import draw_theme
from flexlam_rl.envs.litelab.maze import APPLE, GOAL, SPAWN, generate, set_cells
from flexlam_rl.envs.litelab.rng import below, shuffle

GOAL_REWARD = 10
GOOD_REWARD = 2
BAD_REWARD = -1
APPLE_SHARE = 0.5  # share of the apple cells that have an apple

# The 16 colors of the two-colored objects.
PALETTE = np.array(
    [
        (0, 0, 0), (0, 0, 170), (0, 170, 0), (0, 170, 170), (170, 0, 0), (170, 0, 170), (170, 85, 0), (170, 170, 170),
        (85, 85, 85), (85, 85, 255), (85, 255, 85), (85, 255, 255), (255, 85, 85), (255, 85, 255), (255, 255, 85), (255, 255, 255),
    ],
    np.uint8,
)  # fmt: skip

_SHAPES = len(SHAPE_NAMES)


@kernel
def begin(w):
    """Begin an episode: draw the maze, its look, and everything that stays the same for the whole episode."""
    if w.level == QUADRANTS:
        quadrants.begin(w)
        return
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
    """(Re)start the map: all items are back, and the player is in a new place."""
    w.picked = 0
    if w.level == QUADRANTS:
        spawns = find_letters(w, SPAWN)
        spawn_in_cell(w, spawns[below(w, len(spawns))])
    elif w.level == OBJECTS_LARGE or w.level == OBJECTS_SMALL:
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
        spawns = spawns_in(w, reachable_from(w, w.goal_row, w.goal_col))
        spawn = spawns[below(w, len(spawns))]
        spawn_in_cell(w, spawn)
        if w.has_doors == 1:
            draw_doors(w, spawn // w.cols, spawn % w.cols)


@kernel
def touch(w, item):
    """Handle the touch of item number `item`: give the reward, and end the map when nothing is left to find."""
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
    """Choose a goal cell for the episode, from which a spawn cell can be reached."""
    goals = find_letters(w, GOAL)
    shuffle(w, goals, len(goals))
    goal = goals[0]
    for i in range(len(goals)):
        if len(spawns_in(w, reachable_from(w, goals[i] // w.cols, goals[i] % w.cols))) > 0:
            goal = goals[i]
            break
    w.goal_row = goal // w.cols
    w.goal_col = goal % w.cols
    add_item_in_cell(w, s.GOAL, s.LOOK_GOAL, goal, GOAL_REWARD)


@kernel
def _choose_apples(w):
    """Choose the apple cells that have an apple for the whole episode."""
    cells = find_letters(w, APPLE)
    shuffle(w, cells, len(cells))
    w.left = int(np.floor(APPLE_SHARE * len(cells)))
    for i in range(w.left):
        add_item_in_cell(w, s.REWARD, s.LOOK_APPLE, cells[i], 1)


@kernel
def _draw_categories(w):
    """Draw a look for each category for the whole episode: shape, pattern and two colors, all different. The first
    categories are the good ones.
    """
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
    """Place one object of each category, in slots chosen uniformly among those that can be reached."""
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
