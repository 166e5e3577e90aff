"""What a reactive expert remembers since the map last began: what it saw in the last steps, and its last actions."""

import numpy as np

from flexlam_rl.agents.experts.scripted import memory as mem
from flexlam_rl.envs.litelab.kernel import kernel

LONGEST = 30  # largest number of remembered steps: two seconds
NOTHING = -1  # no action yet

# The fields of the scripted experts, whose functions for seeing and walking need them, and a few more.
MEMORY = np.dtype(
    [(name, mem.MEMORY[name].base, mem.MEMORY[name].shape) for name in mem.MEMORY.names or ()]
    + [
        ("last", "i1"),  # own last action; `before` is the one before it
        ("before", "i1"),
        ("turns", "i4"),  # fast turns in a row that end with `last`
        ("asides", "i4"),  # steps to a side in a row that end with `last`
    ],
    align=True,
)


@kernel
def begin(w, m, salt):
    """Forget everything. The random stream begins anew with an episode, and continues after a restart of the map."""
    stream, again = m.rng, m.seed == w.seed and w.frame > 0
    mem.begin(w, m, salt)
    if again:
        m.rng = stream
    m.restarts = w.restarts
    m.total = w.total
    m.last = NOTHING
    m.before = NOTHING
    m.turns = 0
    m.asides = 0


@kernel
def took(m, action):
    """Note an own action."""
    m.before = m.last
    m.last = action
    m.turns = m.turns + 1 if action == mem.LEFT_FAST or action == mem.RIGHT_FAST else 0
    m.asides = m.asides + 1 if action == mem.STRAFE_LEFT or action == mem.STRAFE_RIGHT else 0


@kernel
def note(memories, actions):
    """Note an own action of each expert."""
    for i in range(len(memories)):
        took(memories[i], actions[i])
