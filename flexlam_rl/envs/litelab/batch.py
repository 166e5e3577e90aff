"""The compiled calls that single environments, batches and the Lab face use: begin, play and draw a range of worlds.

There are few entry points, because numba compiles everything below an entry point anew for it, and three, because these
can be compiled side by side (`compiling`).
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
    """Begin episodes in those of worlds low..high-1 whose jobs say so."""
    for i in range(low, high):
        if jobs[i].what & BEGIN:
            begin(worlds, i, jobs[i].seed)


@kernel
def play_range(worlds, jobs, results, low, high, frames):
    """Play up to `frames` frames in those of worlds low..high-1 whose jobs say so.

    `results[i]` tells the reward, RUNNING, TERMINATED or TRUNCATED, the map restarts and the frames played.
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
    """Draw those of worlds low..high-1 whose jobs say so into `rgb[i]`.

    `depth` holds one image a world, or a single one as scratch.
    """
    for i in range(low, high):
        if jobs[i].what & DRAW:
            draw(worlds, i, look, rgb[i], depth[i % depth.shape[0]], hud)


ENTRIES = ("begin_range", "play_range", "draw_range")


def compiled(entry: str, **given: Any) -> Callable[..., None]:
    """An entry point, compiled for those of the arguments given by name that it takes."""
    function: Any = globals()[entry]
    names = inspect.signature(function.py_func).parameters
    found: Callable[..., None] = function.compile(tuple(numba.typeof(given[name]) for name in names))
    return found


def direct_serve(**given: Any) -> Callable[..., None]:
    """A function that does jobs through compiled entry points for arguments of exactly these types.

    It skips numba's look at every argument's type, which costs more than 3 microseconds a call for a look; callers must
    keep to the types of the arguments given here by name. It takes `begins` (whether any job begins an episode), then
    `worlds, jobs, results, low, high, frames, look, rgb, depth, hud`, and does the jobs of worlds low..high-1: begin,
    play, draw, in this order. All of it runs without the interpreter lock, so that a pool of threads can share a batch
    out.
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
