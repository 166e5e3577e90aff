"""A compiled call that decides for a range of worlds."""

from flexlam_rl.agents.experts.reactive import gaze, mazes, memory, rooms, walk
from flexlam_rl.agents.experts.scripted import memory as mem
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel


@kernel
def decide_range(worlds, memories, low, high, salt, actions):
    """Decide for worlds low..high-1 into actions[low..high-1] (numbers of dreamer15)."""
    for i in range(low, high):
        w, m = worlds[i], memories[i]
        # a restart moves the player, so that what was seen before is no longer where it was
        if w.seed != m.seed or w.frame < m.frame or w.frame == 0 or w.restarts != m.restarts:
            memory.begin(w, m, salt)
        m.frame = w.frame
        mem.forget(w, m)
        walk.feel(w, m)
        if w.running == 0:
            actions[i] = mem.FORWARD
        elif w.family == s.PSYCHLAB:
            actions[i] = gaze.decide(w, m)
        elif w.family == s.DEFERRED:
            actions[i] = walk.unstuck(w, m, rooms.deferred(w, m))
        elif w.family == s.NATLAB:
            actions[i] = walk.unstuck(w, m, rooms.natlab(w, m))
        elif w.family == s.WATERMAZE:
            actions[i] = walk.unstuck(w, m, rooms.watermaze(w, m))
        else:
            actions[i] = walk.unstuck(w, m, mazes.decide(w, m))
