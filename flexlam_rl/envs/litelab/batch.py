"""The one compiled call that single environments, batches and the Lab face use: begin, play and draw a range of worlds.

There is one entry point only because numba compiles everything below an entry point anew for it.
"""

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
def serve(worlds, jobs, results, low, high, frames, look, rgb, depth, hud):
    """Do the jobs of worlds low..high-1: begin an episode, play up to `frames` frames, draw into `rgb[i]`, in this
    order.

    Without the interpreter lock, so that a pool of threads can share a batch out. `results[i]` tells the reward,
    RUNNING, TERMINATED or TRUNCATED, the map restarts and the frames played. `depth` holds one image a world, or a
    single one as scratch.
    """
    for i in range(low, high):
        what = jobs[i].what
        w = worlds[i]
        reward = 0.0
        if what & BEGIN:
            begin(worlds, i, jobs[i].seed)
        restarts = w.restarts
        frame = w.frame
        if what & PLAY:
            reward = advance(worlds, i, jobs[i].action, frames)
        result = results[i]
        result.reward = reward
        result.end = RUNNING
        if w.running == 0:
            result.end = TERMINATED if w.episode_over == 1 else TRUNCATED
        result.restarts = w.restarts - restarts
        result.frames = w.frame - frame
        if what & DRAW:
            draw(worlds, i, look, rgb[i], depth[i % depth.shape[0]], hud)


def direct_serve(*args: Any) -> Callable[..., None]:
    """`serve`'s compiled entry point for arguments of exactly these types.

    It skips numba's look at every argument's type, which costs more than 3 microseconds a call for a look; callers must
    keep to the types of `args`.
    """
    entry: Callable[..., None] = serve.compile(tuple(numba.typeof(arg) for arg in args))  # type: ignore[attr-defined]
    return entry
