"""Compiled calls that play and draw many worlds at once, and the same for one.

Each works on a range of worlds without the interpreter lock, so that a pool of threads can share a batch out.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from flexlam_rl.envs.litelab.engine import advance, begin
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.render import draw

RUNNING, TERMINATED, TRUNCATED = range(3)


@kernel
def play(worlds, i, action, frames):
    """Play up to `frames` frames of world `i`.

    Returns (reward, RUNNING | TERMINATED | TRUNCATED, map restarts, frames played).
    """
    w = worlds[i]
    restarts = w.restarts
    start = w.frame
    reward = advance(worlds, i, action, frames)
    end = RUNNING
    if w.running == 0:
        end = TERMINATED if w.episode_over == 1 else TRUNCATED
    return reward, end, w.restarts - restarts, w.frame - start


@kernel
def play_and_draw(worlds, i, action, frames, look, rgb, depth, hud):
    """`play`, then draw world `i` into `rgb`."""
    result = play(worlds, i, action, frames)
    draw(worlds, i, look, rgb, depth, hud)
    return result


@kernel
def begin_and_draw(worlds, i, seed, look, rgb, depth, hud):
    """Begin an episode in world `i` and draw its first view into `rgb`."""
    begin(worlds, i, seed)
    draw(worlds, i, look, rgb, depth, hud)


@kernel
def play_range(worlds, low, high, actions, frames, skip, rewards, ends, resets, played, drawing, look, rgb, depth, hud):
    """`play` worlds low..high-1 with `actions[i]`, and draw them into `rgb[i]` if `drawing`.

    Worlds with skip[i] != 0 are left alone: no reward, no frames, nothing drawn (they are about to begin an episode). `depth` holds
    one image a world, or a single one as scratch.
    """
    for i in range(low, high):
        if skip[i]:
            rewards[i] = 0.0
            ends[i] = RUNNING
            resets[i] = False
            played[i] = 0
            continue
        reward, end, restarts, frames_played = play(worlds, i, actions[i], frames)
        rewards[i] = reward
        ends[i] = end
        resets[i] = restarts > 0
        played[i] = frames_played
        if drawing:
            draw(worlds, i, look, rgb[i], depth[i % depth.shape[0]], hud)


@kernel
def begin_list(worlds, which, seeds, low, high, drawing, look, rgb, depth, hud):
    """Begin episodes in worlds which[low..high-1] with their seeds, and draw them if `drawing`."""
    for k in range(low, high):
        i = which[k]
        begin(worlds, i, np.uint64(seeds[k]))
        if drawing:
            draw(worlds, i, look, rgb[i], depth[i % depth.shape[0]], hud)


def direct(function: Any, *args: Any) -> Callable[..., Any]:
    """The compiled entry point of a kernel for arguments of exactly these types.

    It skips numba's look at every argument's type, which costs more than 3 microseconds a call for a look; callers must keep to
    the types of `args`.
    """
    entry: Callable[..., Any] = function.compile(tuple(numba.typeof(arg) for arg in args))
    return entry
