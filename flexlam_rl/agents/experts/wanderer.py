"""The wanderer of DMLab-40k, which walks through a maze again and again (dissertation, section 3.4, appendix B.13).

According to the text, it walks to random points by the shortest way; according to the appendix, to the furthest
unvisited point "with some added noise". Here the goal is the furthest unvisited cell or, now and then, any cell. When
all cells have been visited, all count as unvisited again.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from flexlam_rl.agents.experts.scripted.expert import ScriptedExpert
from flexlam_rl.agents.experts.scripted.sight import TURN, col_of, row_of
from flexlam_rl.envs.base import level_names
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.rng import below, mix, uniform

LEFT, RIGHT, FORWARD = range(3)  # actions of teco3
STEP = 20.064  # degrees that one of them turns in the five frames of DMLab-40k
ANYWHERE, SLIP = 0.25, 0.03  # shares, at temperature 1, of goals that are any cell, and of random actions
NEAR = 35.0  # world units from the middle of a cell within which it counts as reached
UNREACHED = 65535
_DR = (0, -1, 0, 1)
_DC = (1, 0, -1, 0)

MEMORY = np.dtype(
    [
        ("seed", "u8"),
        ("frame", "i4"),
        ("rng", "u8"),
        ("temperature", "f8"),
        ("visited", "u1", (s.MAX_CELLS, s.MAX_CELLS)),
        ("goal", "i4"),  # a cell, row * MAX_CELLS + column, -1 for none
        ("next", "i4"),  # the cell that it is walking to
        ("last_x", "f8"),
        ("last_y", "f8"),
        ("still", "i4"),  # steps forward that led nowhere
        ("escape", "i4"),  # remaining steps of turning away
    ],
    align=True,
)


@kernel
def _distances(w, cell, dist):
    """Fill `dist` with the number of steps over open cells from every cell to `cell`."""
    dist[: w.rows, : w.cols] = UNREACHED
    queue = np.empty(s.MAX_CELLS * s.MAX_CELLS, np.int32)
    queue[0] = cell
    dist[cell // s.MAX_CELLS, cell % s.MAX_CELLS] = 0
    head, tail = 0, 1
    while head < tail:
        r, c = queue[head] // s.MAX_CELLS, queue[head] % s.MAX_CELLS
        head += 1
        for side in range(4):
            rr, cc = r + _DR[side], c + _DC[side]
            inside = 0 <= rr < w.rows and 0 <= cc < w.cols
            if inside and w.cell[rr, cc] != s.WALL and dist[rr, cc] == UNREACHED:
                dist[rr, cc] = dist[r, c] + 1
                queue[tail] = rr * s.MAX_CELLS + cc
                tail += 1


@kernel
def _choose_goal(w, m, here, dist):
    """Choose the goal: the furthest unvisited cell, with ties broken at random, or now and then any other cell."""
    _distances(w, here, dist)
    anywhere = uniform(m) < ANYWHERE * m.temperature
    best, ties = 0, 0
    for _ in range(2):
        for r in range(w.rows):
            for c in range(w.cols):
                d = dist[r, c]
                if d == UNREACHED or d == 0 or (m.visited[r, c] == 1 and not anywhere):
                    continue
                worth = 1 if anywhere else int(d)
                if worth > best:
                    best, ties = worth, 0
                if worth == best:
                    ties += 1
                    if below(m, ties) == 0:
                        m.goal = r * s.MAX_CELLS + c
        if best > 0:
            break
        m.visited[:] = 0
        m.visited[here // s.MAX_CELLS, here % s.MAX_CELLS] = 1
    _distances(w, m.goal, dist)


@kernel
def _begin(w, m, salt):
    m.seed = w.seed
    m.rng = mix(np.uint64(w.seed) + np.uint64(salt))
    m.visited[:] = 0
    m.goal = -1
    m.next = -1
    # far from any place: an episode must not depend on where the previous one ended
    m.last_x = 1e9
    m.last_y = 1e9
    m.still = 0
    m.escape = 0


@kernel
def _error(w, cell):
    """Return the degrees by which the player must turn left to face the middle of a cell, and its distance."""
    p = w.players[0]
    x = (cell % s.MAX_CELLS + 0.5) * s.CELL - p.pos[0]
    y = (w.rows - cell // s.MAX_CELLS - 0.5) * s.CELL - p.pos[1]
    error = np.degrees(np.arctan2(y, x) - p.yaw * TURN)
    return (error + 180.0) % 360.0 - 180.0, np.sqrt(x * x + y * y)


@kernel
def _decide(w, m):
    """Choose the next action."""
    p = w.players[0]
    here = row_of(w, p.pos[1]) * s.MAX_CELLS + col_of(p.pos[0])
    m.visited[here // s.MAX_CELLS, here % s.MAX_CELLS] = 1
    dist = np.empty((s.MAX_CELLS, s.MAX_CELLS), np.uint16)
    error, distance = _error(w, m.next) if m.next >= 0 else (0.0, 0.0)
    if m.next < 0 or distance < NEAR:
        # a new cell is chosen only in the middle of a cell, so that corners are not cut
        if m.goal < 0 or here == m.goal:
            _choose_goal(w, m, here, dist)
        else:
            _distances(w, m.goal, dist)
        m.next = here
        for side in range(4):
            r, c = here // s.MAX_CELLS + _DR[side], here % s.MAX_CELLS + _DC[side]
            inside = 0 <= r < w.rows and 0 <= c < w.cols
            if inside and dist[r, c] < dist[m.next // s.MAX_CELLS, m.next % s.MAX_CELLS]:
                m.next = r * s.MAX_CELLS + c
        error, distance = _error(w, m.next)
    moved = abs(p.pos[0] - m.last_x) + abs(p.pos[1] - m.last_y)
    m.last_x = p.pos[0]
    m.last_y = p.pos[1]
    if m.escape > 0:
        m.escape -= 1
        return FORWARD if m.escape == 0 else LEFT
    if m.still > 3:
        # blocked by a wall: turn away, and choose another goal from there
        m.still = 0
        m.goal = -1
        m.next = -1
        m.escape = 2 + below(m, 14)
        return LEFT
    if m.temperature > 0.0 and uniform(m) < SLIP * m.temperature:
        return below(m, 3)
    if abs(error) > 0.5 * STEP:
        return LEFT if error > 0.0 else RIGHT
    m.still = m.still + 1 if moved < 2.0 else 0
    return FORWARD


@kernel
def decide_range(worlds, memories, low, high, salt, actions):
    """Decide for worlds low..high-1 into actions[low..high-1] (numbers of teco3)."""
    for i in range(low, high):
        w, m = worlds[i], memories[i]
        if w.seed != m.seed or w.frame < m.frame or w.frame == 0:
            _begin(w, m, salt)
        m.frame = w.frame
        actions[i] = FORWARD if w.running == 0 else _decide(w, m)


class Wanderer(ScriptedExpert):
    """Walks through a maze whose map it knows, to see all of it.

    Args:
        env: A litelab environment of levels with a text maze, as for `ScriptedExpert`; its action set must be teco3 or
            native7.
        temperature: Strength of the noise: 0 always walks to the furthest unvisited cell, without random actions; 1 now
            and then walks to any cell, and takes random actions.
        seed: Seed of that noise; with the environment's seeds it determines every action.

    Raises:
        ValueError: `ScriptedExpert` refuses an argument, or a level has no text maze.
    """

    kind: ClassVar[str] = "wanderer"
    plays: ClassVar[str] = "teco3"
    record: ClassVar[np.dtype] = MEMORY
    decide: ClassVar[Callable[..., None]] = staticmethod(decide_range)

    def __init__(self, env: Any, temperature: float = 1.0, seed: int = 0) -> None:
        super().__init__(env, temperature, seed)
        if (self.worlds["geometry"] != s.GRID).any():
            raise ValueError(
                f"The wanderer walks through mazes of text; one of {', '.join(level_names(env))} has none."
            )
