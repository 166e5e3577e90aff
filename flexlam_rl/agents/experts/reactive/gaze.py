"""Reactive expert of psychlab_visual_search: as scripted, but its last two looks decide how to swing over the cross."""

from flexlam_rl.agents.experts.scripted import memory as mem
from flexlam_rl.agents.experts.scripted.gaze import CENTRE, answer, look, towards
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.levels import psychlab
from flexlam_rl.envs.litelab.rng import uniform


@kernel
def decide(w, m):
    """Choose the next look."""
    if m.temperature > 0.0 and uniform(m) < 0.02 * m.temperature:
        return mem.UP if uniform(m) < 0.5 else mem.DOWN
    if w.psy_phase == psychlab.SEARCH:
        return answer(w)
    left, down = towards(w, CENTRE, CENTRE)
    action = look(left, down)
    if action >= 0:
        return action
    # a small look is wider than the box of the cross: swing over it, twice horizontally and twice vertically
    if m.before != mem.LEFT and m.before != mem.RIGHT:
        return mem.LEFT if left > 0.0 else mem.RIGHT
    return mem.DOWN if down > 0.0 else mem.UP
