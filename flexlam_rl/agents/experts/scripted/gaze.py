"""Expert of psychlab_visual_search: fixate the cross, search the array, look at the right button and away from it."""

import numpy as np

from flexlam_rl.agents.experts.scripted import memory as mem
from flexlam_rl.agents.experts.scripted.sight import TURN
from flexlam_rl.agents.experts.scripted.walk import SMALL, turn, wrap
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels import psychlab
from flexlam_rl.envs.litelab.rng import uniform

BUTTON_Y = 0.95
CENTRE = 0.5


@kernel
def towards(w, x, y):
    """Return the degrees (left, down) by which the gaze must turn to reach a point of the screen."""
    p = w.players[0]
    dx = psychlab.SCREEN_LEFT + x * psychlab.SCREEN_SIZE - p.pos[0]
    dy = psychlab.SCREEN_Y - p.pos[1]
    down = p.pos[2] + p.view_height - (psychlab.SCREEN_TOP - y * psychlab.SCREEN_SIZE)
    left = wrap(np.degrees(np.arctan2(dy, dx) - p.yaw * TURN))
    return left, np.degrees(np.arctan2(down, np.hypot(dx, dy)) - p.pitch * TURN)


@kernel
def button(w):
    """Return the x of the right button, 0.4 or 0.6."""
    present = False
    for r in range(psychlab.GRID):
        for c in range(psychlab.GRID):
            if w.psy_items[r, c, 0] == psychlab.TARGET_SHAPE and w.psy_items[r, c, 1] == psychlab.TARGET_COLOR:
                present = True
    return 0.6 if present else 0.4


@kernel
def look(left, down):
    """Choose a look that reduces the larger of two errors in degrees; -1 if both are within half a small look."""
    if abs(left) > 0.5 * SMALL and abs(left) >= abs(down):
        return turn(left)
    if abs(down) > 0.5 * SMALL:
        return mem.DOWN if down > 0.0 else mem.UP
    if abs(left) > 0.5 * SMALL:
        return turn(left)
    return -1


@kernel
def answer(w):
    """Choose the next look while the array is shown: to the right button and off it."""
    if w.psy_hover != psychlab.NOWHERE:
        return mem.UP  # leaving the button answers
    x = button(w)
    left, down = towards(w, x, BUTTON_Y)
    p = w.players[0]
    # horizontally first, so that the way down does not cross the other button
    if abs(left) > 0.5 * SMALL:
        return turn(left)
    if abs(down) > 0.4 * SMALL:
        return mem.DOWN if down > 0.0 else mem.UP
    return mem.LEFT if p.yaw * TURN < 0.5 * np.pi else mem.RIGHT


@kernel
def decide(w, m):
    """Choose the next look."""
    if m.temperature > 0.0 and uniform(m) < 0.02 * m.temperature:
        return mem.UP if uniform(m) < 0.5 else mem.DOWN
    if w.psy_phase != psychlab.SEARCH:
        left, down = towards(w, CENTRE, CENTRE)
        action = look(left, down)
        if action >= 0:
            return action
        # a small look is wider than the box of the cross: swing over it
        m.answered += 1
        if m.answered % 4 < 2:
            return mem.LEFT if left > 0.0 else mem.RIGHT
        return mem.DOWN if down > 0.0 else mem.UP
    return answer(w)
