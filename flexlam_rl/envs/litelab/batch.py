"""The compiled calls behind single environments, batches and `Lab`: begin, play and draw a range of worlds.

There are few entry points, because numba optimizes all functions below an entry point again for each one. There are
three instead of one, because they can be compiled in parallel (`compiling`).
"""

import inspect
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from flexlam_rl.envs.litelab.ends import RUNNING, TERMINATED, TRUNCATED
from flexlam_rl.envs.litelab.engine import advance, begin
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.render import draw

# bits of a job
BEGIN, PLAY, DRAW = 1, 2, 4

JOB = np.dtype([("what", "i4"), ("action", "i4", 7), ("seed", "u8")], align=True)
RESULT = np.dtype([("reward", "f8"), ("end", "i8"), ("restarts", "i8"), ("frames", "i8")], align=True)


@kernel
def begin_range(worlds, jobs, low, high):
    """Begin episodes in those of worlds low..high-1 whose job asks for it."""
    for i in range(low, high):
        if jobs[i].what & BEGIN:
            begin(worlds, i, jobs[i].seed)


@kernel
def play_range(worlds, jobs, results, low, high, frames):
    """Play up to `frames` frames in those of worlds low..high-1 whose job asks for it.

    `results[i]` gets the reward, the end (RUNNING, TERMINATED or TRUNCATED), and the numbers of map restarts and of
    frames played.
    """
    for i in range(low, high):
        w = worlds[i]
        reward = 0.0
        restarts = w.restarts
        frame = w.frame
        if jobs[i].what & PLAY:
            reward = advance(worlds, i, jobs[i].action, frames)
        result = results[i]
        result.reward = reward
        result.end = RUNNING
        if w.running == 0:
            result.end = TERMINATED if w.episode_over == 1 else TRUNCATED
        result.restarts = w.restarts - restarts
        result.frames = w.frame - frame


@kernel
def draw_range(worlds, jobs, low, high, look, rgb, depth, hud):
    """Draw those of worlds low..high-1 whose job asks for it into `rgb[i]`.

    `depth` has one image per world, or a single one as scratch memory.
    """
    for i in range(low, high):
        if jobs[i].what & DRAW:
            draw(worlds, i, look, rgb[i], depth[i % depth.shape[0]], hud)


ENTRIES = ("begin_range", "play_range", "draw_range")


def compiled(entry: str, **given: Any) -> Callable[..., None]:
    """Compile an entry point for the types of the given arguments; those that it does not have are ignored."""
    function: Any = globals()[entry]
    names = inspect.signature(function.py_func).parameters
    found: Callable[..., None] = function.compile(tuple(numba.typeof(given[name]) for name in names))
    return found


def direct_serve(**given: Any) -> Callable[..., None]:
    """Make a function that does jobs through compiled entry points for arguments of exactly the given types.

    It skips numba's check of the argument types, which takes more than 3 microseconds per call for a look, so callers
    must always pass the types given here. It takes `begins` (whether any job begins an episode), then `worlds, jobs,
    results, low, high, frames, look, rgb, depth, hud`, and does the jobs of worlds low..high-1 in the order begin, play,
    draw. It runs without the GIL, so that threads can share a batch.
    """
    begin_all, play_all, draw_all = (compiled(entry, **given) for entry in ENTRIES)

    def serve(
        begins: bool,
        worlds: np.ndarray,
        jobs: np.ndarray,
        results: np.ndarray,
        low: int,
        high: int,
        frames: int,
        look: Any,
        rgb: np.ndarray,
        depth: np.ndarray,
        hud: int,
    ) -> None:
        if begins:
            begin_all(worlds, jobs, low, high)
        play_all(worlds, jobs, results, low, high, frames)
        draw_all(worlds, jobs, low, high, look, rgb, depth, hud)

    return serve
