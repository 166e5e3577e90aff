"""Measures whether a place that was seen looks right when the camera returns to it.

A predicted frame *returns* if its true pose is near that of a frame of the context, and near none of the last `absence`
frames before it: the view was seen, left, and is seen again. It is *new* if no frame before those last ones shows the
same view; they do themselves, as the camera moves little from frame to frame. Both kinds are compared with what the
engine renders there. Late frames are harder to predict than early ones; therefore each
returning frame is compared with the new frames that lie about as far in the future.

Shapes: N clips, T frames of which c are context.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from flexlam_rl.eval.video.curves import curve


@dataclass(frozen=True)
class Nearness:
    """Thresholds for when two views count as the same.

    Attributes:
        place: Largest distance between the cameras, in world units (a maze cell has 100).
        turn: Largest angle between their directions, in degrees.
        absence: Number of frames before a return that must not be near it; those before a new view may be.
        apart: Multiple of `place` and `turn` by which a new view must be away from all earlier ones.
        around: Largest distance in frames between a returning view and the new views that it is compared with.
    """

    place: float = 50.0
    turn: float = 20.0
    absence: int = 16
    apart: float = 2.0
    around: int = 16


@dataclass(frozen=True)
class Views:
    """Kinds of the frames after the context.

    Attributes:
        seen: Index of the context frame that a returning frame returns to, the nearest in time; -1 elsewhere, (N,
            T - c).
        new: Whether no frame before the last `absence` ones shows the view, (N, T - c) bool.
    """

    seen: np.ndarray
    new: np.ndarray


def find_views(places: np.ndarray, yaws: np.ndarray, context: int, nearness: Nearness | None = None) -> Views:
    """Find returning and new views.

    Args:
        places: Positions of the camera, (N, T, 2).
        yaws: Directions of the camera in degrees, (N, T).
        context: Number of context frames, c.
        nearness: Thresholds for equal views; None for the defaults.
    """
    near = nearness or Nearness()
    n, t = yaws.shape
    seen, new = np.full((n, t - context), -1), np.zeros((n, t - context), np.bool_)
    for i in range(n):
        gaps = np.linalg.norm(places[i, :, None] - places[i, None], axis=-1)
        turns = np.abs((yaws[i, :, None] - yaws[i, None] + 180.0) % 360.0 - 180.0)
        same = (gaps <= near.place) & (turns <= near.turn)
        alike = (gaps <= near.apart * near.place) & (turns <= near.apart * near.turn)
        for frame in range(context, t):
            recent = max(0, frame - near.absence)
            left = not same[frame, recent:frame].any()
            back = np.flatnonzero(same[frame, :context])
            if left and len(back):
                seen[i, frame - context] = back[-1]
            new[i, frame - context] = not alike[frame, :recent].any()
    return Views(seen, new)


def compare_views(values: np.ndarray, views: Views, around: int = 16) -> dict[str, Any]:
    """Compare a measure at returning and at new views.

    Args:
        values: The measure at each frame after the context, (N, T - c).
        views: Views of `find_views`.
        around: As for `Nearness`.

    Returns:
        "frames" and "clips": the number of returning frames that have new ones to be compared with, and of clips that
        have such frames. If there are any, also the means over clips, "returning" and "new", and their "difference"
        with its 95% interval over clips, "low" and "high" (None for a single clip).
    """
    returning, new, frames = [], [], 0
    for i in range(len(values)):
        pairs = []
        for step in np.flatnonzero(views.seen[i] >= 0).tolist():
            window = slice(max(0, step - around), step + around + 1)
            beside = values[:, window][views.new[:, window]]
            if len(beside):
                pairs.append((float(values[i, step]), float(beside.mean())))
        if pairs:
            frames += len(pairs)
            returning.append(np.mean([a for a, _ in pairs]))
            new.append(np.mean([b for _, b in pairs]))
    found: dict[str, Any] = {"frames": frames, "clips": len(returning)}
    if returning:
        gap = curve((np.array(returning) - np.array(new))[:, None])
        found |= {"returning": float(np.mean(returning)), "new": float(np.mean(new))}
        found |= {"difference": gap.mean[0], "low": gap.low[0], "high": gap.high[0]}
    return found
