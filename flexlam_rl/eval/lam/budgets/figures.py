"""Figures of k*, and its correlation with features of transitions.

Legend: `N` transitions, `M` slots, `H W C` a frame.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage, stats

FEW = 3
"""Smallest number of transitions for a correlation; fewer correlate with anything."""


def detail(frames: np.ndarray) -> np.ndarray:
    """Measure the fine detail of frames: the mean length of their Sobel gradient, in gray levels of [0, 1] (ElasticTok,
    section 4.3, frequency analysis).

    Args:
        frames: Frames, uint8 (N, H, W, C).

    Returns:
        The detail of each frame, (N,) float64.
    """
    gray = frames.mean(-1) / 255
    down, across = (ndimage.sobel(gray, axis) for axis in (1, 2))
    return np.hypot(down, across).mean((1, 2))


def change(frames: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Compute the mean absolute difference of two sets of frames, with pixels in [0, 1], (N,)."""
    return np.abs(frames.astype(np.float64) - after).mean((1, 2, 3)) / 255


def summary(
    found: np.ndarray, slots: int, features: Mapping[str, np.ndarray], events: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Summarize k* of transitions, as JSON values.

    Args:
        found: k*, whether the tolerance was met, and the number of evaluations, (N, 3).
        slots: Number of slots, M.
        features: Numbers (N,) by name, NaN where one is not known.
        events: Bool (N,) by name.

    Returns:
        "transitions", "mean", "met" (a share), "evaluations" (a mean), "histogram" (of k* = 1..M), "correlation" with
        each feature (Pearson's, None where nothing varies), and "events": for each one that occurred, its "count" and
        the mean k* "at" it and "elsewhere".
    """
    k, met, evaluations = found.T
    return {
        "transitions": len(k),
        "mean": float(k.mean()),
        "met": float(met.mean()),
        "evaluations": float(evaluations.mean()),
        "histogram": np.bincount(k, minlength=slots + 1)[1:].tolist(),
        "correlation": {name: correlation(k, values) for name, values in features.items()},
        "events": {
            name: {
                "count": int(here.sum()),
                "at": float(k[here].mean()),
                "elsewhere": float(k[~here].mean()) if not here.all() else None,
            }
            for name, here in events.items()
            if here.any()
        },
    }


def correlation(k: np.ndarray, values: np.ndarray) -> float | None:
    """Compute Pearson's correlation of k* with a feature, over the transitions where the feature is known.

    Returns:
        The correlation; None with too few transitions, or where k* or the feature does not vary.
    """
    known = np.isfinite(values)
    k, values = k[known], values[known]
    if len(k) < FEW or not np.ptp(k) or not np.ptp(values):
        return None
    return float(stats.pearsonr(k, values).statistic)


def ends(k: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the `count` transitions with the lowest and the highest k*, spread evenly over ties."""
    from flexlam_rl.utils.pictures import evenly

    order = np.argsort(k, kind="stable")
    low = order[k[order] <= k[order[min(count, len(k)) - 1]]]
    high = order[k[order] >= k[order[max(len(k) - count, 0)]]]
    return low[evenly(count, len(low))], high[evenly(count, len(high))]
