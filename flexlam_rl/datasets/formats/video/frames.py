"""Sampling of a video's frames at a given rate."""

import itertools
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np


class Shot(NamedTuple):
    """A frame of a video with its change from the frame before.

    Attributes:
        time: Seconds since the beginning of the video.
        frame: (H, W, 3) uint8.
        change: Largest change (`SceneChange`) between consecutive frames of the video since the previous shot.
    """

    time: Fraction
    frame: np.ndarray
    change: float


def resample(shots: Iterable[Shot], fps: Fraction) -> Iterator[Shot]:
    """Take the frame nearest to each of the times 0, 1/fps, 2/fps, ...; the earlier one if two are equally near.

    The paper samples all video at 1.6 frames per second (appendix E.1). A frame that is shown for longer than 1/fps is
    taken more than once.

    Args:
        shots: Shots in the order of their times.
        fps: Wanted frames per second.
    """
    count, change, gap = 0, 0.0, Fraction(0)
    before: Shot | None = None
    for one in itertools.chain(shots, [None]):
        if before is not None:
            # the last frame is assumed to be shown as long as the one before it
            gap = gap if one is None else one.time - before.time
            while count == 0 or Fraction(count) / fps <= before.time + gap / 2:
                yield Shot(Fraction(count) / fps, before.frame, change)
                count, change = count + 1, 0.0
        if one is not None:
            before, change = one, max(change, one.change)
