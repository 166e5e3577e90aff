"""Does a place that was seen look right when the camera comes back?

A predicted frame *returns* where its true pose is near that of a frame of the context, and near none of the last
`absence` frames before it: the view was seen, left, and is seen again. It is *new* where no earlier frame shows what it
shows. Both kinds are compared with what the engine renders there. Late frames are harder to predict than early ones, so
that each returning frame is set beside the new ones about as far into the future.

Shapes: N clips, T frames of which c are context.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from flexlam_rl.eval.video.curves import curve


@dataclass(frozen=True)
class Nearness:
    """When two views count as the same.

    Attributes:
        place: World units between the cameras (100 a maze cell).
        turn: Degrees between their directions.
        absence: Frames before a return that are near none of it.
        apart: How many times `place` and `turn` a new view is away from all earlier ones.
        around: Frames of the horizon by which a new view may differ from the returning one that it is compared with.
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
        seen: Frame of the context that a returning frame returns to, the nearest in time; -1 elsewhere, (N, T - c).
        new: Whether no earlier frame shows the view, (N, T - c) bool.
    """

    seen: np.ndarray
    new: np.ndarray


def find_views(places: np.ndarray, yaws: np.ndarray, context: int, nearness: Nearness | None = None) -> Views:
    """Tell returning and new views.

    Args:
        places: (N, T, 2).
        yaws: Degrees, (N, T).
        context: c.
        nearness: When views are the same; None for the defaults.
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
            left = not same[frame, max(0, frame - near.absence) : frame].any()
            back = np.flatnonzero(same[frame, :context])
            if left and len(back):
                seen[i, frame - context] = back[-1]
            new[i, frame - context] = not alike[frame, :frame].any()
    return Views(seen, new)


def compare_views(values: np.ndarray, views: Views, around: int = 16) -> dict[str, Any]:
    """Compare a measure at returning and at new views.

    Args:
        values: Of each frame after the context, (N, T - c).
        views: As `find_views` gives them.
        around: As of `Nearness`.

    Returns:
        "frames" and "clips": returning frames that have new ones to be compared with, and clips that have some; and
        where there are any "returning" and "new", the means over clips, and their "difference" with its 95 % interval
        over clips, "low" and "high" (None from one clip).
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
