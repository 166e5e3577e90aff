"""Rules of psychlab_visual_search (reference A6.8): fixate a cross, search the array, answer by looking at a button.

The player stands on a pillar and acts only by looking. The gaze is where the view's center ray meets the screen.
"""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels.rooms_geometry import psychlab_pillar
from flexlam_rl.envs.litelab.pose import place
from flexlam_rl.envs.litelab.rng import below, shuffle, uniform

# Place of the player, and the screen: a square in the plane y = SCREEN_Y.
START = (0.0, -32.0, 96.125)
SCREEN_Y = 58.5
SCREEN_LEFT = -56.0
SCREEN_TOP = 179.0
SCREEN_SIZE = 112.0

# Phases of a trial (w.psy_phase): nothing on the screen, the cross, the array with the buttons.
BLANK, FIXATION, SEARCH = range(3)
# Targets of the gaze (w.psy_hover).
NOWHERE, ON_ABSENT, ON_PRESENT = range(3)
# Features that distinguish the target from the distractors (w.psy_mode).
SHAPE, COLOR, CONJUNCTION = range(3)

# Screen coordinates run from 0 to 1, y down: (left, right, top, bottom).
FIXATION_BOX = (0.475, 0.525, 0.475, 0.525)
ABSENT_BUTTON = (0.35, 0.45, 0.9, 1.0)
PRESENT_BUTTON = (0.55, 0.65, 0.9, 1.0)

GRID = 7  # the array has 7 x 7 cells
SHAPES = 8
COLORS = 5
TARGET_SHAPE = 0  # T
TARGET_COLOR = 0  # magenta
SET_SIZES = (1, 1, 1, 2, 2, 4, 8, 16, 24, 32)
MAX_TRIALS = s.MAX_TRIALS


@kernel
def gaze(w):
    """Point (x, y) of the screen that the player looks at, each in 0..1 with y down; (-1, -1) if it looks elsewhere."""
    p = w.players[0]
    yaw = p.yaw * (2.0 * np.pi / 65536.0)
    pitch = p.pitch * (2.0 * np.pi / 65536.0)
    north = np.sin(yaw) * np.cos(pitch)
    if north <= 1e-6:
        return -1.0, -1.0
    t = (SCREEN_Y - p.pos[1]) / north
    x = (p.pos[0] + t * np.cos(yaw) * np.cos(pitch) - SCREEN_LEFT) / SCREEN_SIZE
    y = (SCREEN_TOP - (p.pos[2] + p.view_height - t * np.sin(pitch))) / SCREEN_SIZE
    if x < 0.0 or x > 1.0 or y < 0.0 or y > 1.0:
        return -1.0, -1.0
    return x, y


@kernel
def _inside(x, y, box):
    return box[0] <= x <= box[1] and box[2] <= y <= box[3]


@kernel
def begin(w):
    """Begin an episode with the first trial of the easiest block."""
    psychlab_pillar(w)
    w.psy_phase = BLANK
    w.psy_wait = 1
    w.psy_hover = NOWHERE
    w.psy_difficulty = 1
    w.psy_index = 0
    w.psy_trial_in_block = 0
    w.psy_correct_in_block = 0
    w.psy_trials = 0
    w.psy_items[:] = -1
    w.psy_log[:] = 0


@kernel
def restart(w):
    """Put the player on the pillar, looking roughly at the screen."""
    w.map_over = 0
    yaw = 90.0 + (uniform(w) - 0.5) * 45.0
    place(w, w.players[0], START[0], START[1], START[2], int(np.round(yaw * (65536.0 / 360.0))))


@kernel
def _draw_distractor(w, cell):
    """Fill a cell of the array with a distractor that the mode allows."""
    if w.psy_mode == SHAPE:
        cell[0] = 1 + below(w, SHAPES - 1)
        cell[1] = TARGET_COLOR
    elif w.psy_mode == COLOR:
        cell[0] = TARGET_SHAPE
        cell[1] = 1 + below(w, COLORS - 1)
    else:
        k = 1 + below(w, SHAPES * COLORS - 1)  # 0 is the target
        cell[0] = k // COLORS
        cell[1] = k % COLORS


@kernel
def _show_array(w):
    """Draw a trial with the current set size: mode, presence of the target, and cells."""
    w.psy_phase = SEARCH
    w.psy_hover = NOWHERE
    w.psy_started = w.frame
    w.psy_set_size = SET_SIZES[w.psy_index]
    w.psy_present = 1 if uniform(w) < 0.5 else 0
    w.psy_mode = below(w, 3)
    w.psy_items[:] = -1
    cells = np.arange(GRID * GRID)
    shuffle(w, cells, GRID * GRID)
    for i in range(w.psy_set_size):
        cell = w.psy_items[cells[i] // GRID, cells[i] % GRID]
        if i == 0 and w.psy_present == 1:
            cell[0] = TARGET_SHAPE
            cell[1] = TARGET_COLOR
        else:
            _draw_distractor(w, cell)


@kernel
def _next_block(w):
    """Step the staircase: at difficulty K a block has K trials; if all are right it goes up, if at most half, down."""
    k = w.psy_difficulty
    if w.psy_trial_in_block < k:
        return
    if w.psy_correct_in_block == k:
        w.psy_difficulty += 1
        w.psy_index = min(w.psy_index + 1, len(SET_SIZES) - 1)
    elif w.psy_correct_in_block <= k // 2:
        w.psy_difficulty = max(k - 1, 1)
        w.psy_index = max(w.psy_index - 1, 0)
    w.psy_trial_in_block = 0
    w.psy_correct_in_block = 0


@kernel
def _answer(w, response):
    """End the trial after the gaze has left a button."""
    correct = 1 if response == w.psy_present else 0
    row = w.psy_log[w.psy_trials]
    row[0] = response
    row[1] = correct
    row[2] = w.frame - w.psy_started
    row[3] = w.psy_set_size
    row[4] = w.psy_mode
    row[5] = w.psy_present
    w.psy_trials += 1
    w.reward += correct
    w.psy_trial_in_block += 1
    w.psy_correct_in_block += correct
    _next_block(w)
    w.psy_phase = BLANK
    w.psy_wait = 1
    w.psy_hover = NOWHERE
    w.psy_items[:] = -1
    if w.psy_trials >= MAX_TRIALS:
        w.episode_over = 1


@kernel
def tick(w):
    """Play one frame: compare the gaze with what is on the screen."""
    if w.psy_phase == BLANK:
        if w.psy_wait > 0:
            w.psy_wait -= 1
        else:
            w.psy_phase = FIXATION
        return
    x, y = gaze(w)
    if w.psy_phase == FIXATION:
        if _inside(x, y, FIXATION_BOX):
            _show_array(w)
        return
    hover = NOWHERE
    if _inside(x, y, ABSENT_BUTTON):
        hover = ON_ABSENT
    elif _inside(x, y, PRESENT_BUTTON):
        hover = ON_PRESENT
    if w.psy_hover != NOWHERE and hover != w.psy_hover:
        _answer(w, 1 if w.psy_hover == ON_PRESENT else 0)
    else:
        w.psy_hover = hover
