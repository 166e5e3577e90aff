"""What an expert remembers of an episode, as one numpy record beside the world's."""

import numpy as np

from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.rng import mix

UNKNOWN, FREE, BLOCKED = range(3)
COVER = 24  # points per side of the grid on which the water maze is searched

# Actions of dreamer15.
FORWARD, BACKWARD, STRAFE_LEFT, STRAFE_RIGHT, LEFT, RIGHT, LEFT_FAST, RIGHT_FAST, DOWN, UP = range(10)
FORWARD_LEFT, FORWARD_RIGHT, FORWARD_LEFT_FAST, FORWARD_RIGHT_FAST, FIRE = range(10, 15)

MEMORY = np.dtype(
    [
        ("seed", "u8"),
        ("frame", "i4"),
        ("restarts", "i4"),
        ("total", "f8"),
        ("rng", "u8"),
        ("temperature", "f8"),
        ("horizon", "i4"),  # number of steps for which it remembers what it saw; -1 for all
        ("step", "i4"),  # of the episode
        # text mazes
        ("seen", "u1", (s.MAX_CELLS, s.MAX_CELLS)),
        ("seen_at", "i4", (s.MAX_CELLS, s.MAX_CELLS)),  # step of the last sight
        ("visited", "i4", (s.MAX_CELLS, s.MAX_CELLS)),  # frame of the last visit
        ("goal_known", "u1"),
        # items
        ("known", "u1", s.MAX_ITEMS),  # seen in this episode (or since the last restart, where they change)
        ("there", "u1", s.MAX_ITEMS),  # believed to be there now
        ("taken_at", "i4", s.MAX_ITEMS),
        ("item_at", "i4", s.MAX_ITEMS),  # step of the last sight
        ("value", "i1", 16),  # reward of a category: 0 not known yet, 1 good, -1 bad
        ("felt_at", "i4", 16),
        # getting unstuck
        ("last_x", "f8"),
        ("last_y", "f8"),
        ("still", "i4"),
        ("escape", "i4"),
        ("escape_action", "u1"),
        ("look_around", "i4"),
        # opponents
        ("enemy_x", "f8"),
        ("enemy_y", "f8"),
        ("enemy_frame", "i4"),
        ("enemy_at", "i4"),  # step of the last sight
        # open ground
        ("heading", "f8"),
        ("covered", "u1", (COVER, COVER)),
        ("covered_at", "i4", (COVER, COVER)),
        ("platform_known", "u1"),
        ("platform_at", "i4"),
        ("platform", "f8", 2),
        ("answered", "i4"),
    ],
    align=True,
)


@kernel
def begin(w, m, salt):
    """Forget everything, for a new episode."""
    temperature = m.temperature
    m.seed = w.seed
    m.frame = -1
    m.step = 0
    m.restarts = 0
    m.total = 0.0
    m.rng = mix(np.uint64(w.seed) + np.uint64(salt))
    m.temperature = temperature
    m.seen[:] = UNKNOWN
    m.visited[:] = -1
    m.goal_known = 0
    m.known[:] = 0
    m.there[:] = 0
    m.taken_at[:] = -1
    m.value[:] = 0
    # far from any place: an episode must not depend on where the previous one ended
    m.last_x = 1e9
    m.last_y = 1e9
    m.still = 0
    m.escape = 0
    m.look_around = 0
    m.enemy_frame = -100000
    m.heading = 0.0
    m.covered[:] = 0
    m.platform_known = 0
    m.answered = 0


@kernel
def restarted(w, m):
    """Forget what changes when the map restarts, and keep what stays."""
    m.restarts = w.restarts
    m.still = 0
    m.escape = 0
    m.look_around = 0
    if w.family == s.LANGUAGE:
        m.seen[:] = UNKNOWN
        m.visited[:] = -1
        m.known[:] = 0
        m.there[:] = 0
    elif w.family == s.EXPLORE:
        if w.categories > 0:
            m.known[:] = 0
            m.there[:] = 0
        else:
            for k in range(w.item_count):
                m.there[k] = m.known[k]
        for r in range(w.rows):
            for c in range(w.cols):
                if w.cell[r, c] >= s.DOOR_H:
                    m.seen[r, c] = UNKNOWN


@kernel
def forget(w, m):
    """Advance by one step: forget what was last seen more than `horizon` steps ago."""
    m.step += 1
    if m.horizon < 0:
        return
    oldest = m.step - m.horizon
    for r in range(w.rows):
        for c in range(w.cols):
            if m.seen_at[r, c] < oldest:
                m.seen[r, c] = UNKNOWN
                m.visited[r, c] = -1
    for k in range(w.item_count):
        if m.item_at[k] < oldest:
            m.known[k] = 0
            m.there[k] = 0
    for g in range(w.categories):
        if m.felt_at[g] < oldest:
            m.value[g] = 0
    if w.family == s.WATERMAZE:
        if m.platform_at < oldest:
            m.platform_known = 0
        for i in range(COVER):
            for j in range(COVER):
                if m.covered_at[i, j] < oldest:
                    m.covered[i, j] = 0
    if m.enemy_at < oldest:
        m.enemy_frame = -100000
