"""Figures of k*, and of what they go with.

Legend: `N` transitions, `M` slots, `H W C` a frame.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage, stats

FEW = 3
"""Fewer transitions than these correlate with anything."""


def detail(frames: np.ndarray) -> np.ndarray:
    """How much fine detail pictures have: the mean length of their gradient by Sobel's filter, in gray levels of [0, 1]
    (ElasticTok, section 4.3, frequency analysis).

    Args:
        frames: uint8 (N, H, W, C).

    Returns:
        (N,) float64.
    """
    gray = frames.mean(-1) / 255
    down, across = (ndimage.sobel(gray, axis) for axis in (1, 2))
    return np.hypot(down, across).mean((1, 2))


def change(frames: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Mean difference of two pictures, of pixels in [0, 1], (N,)."""
    return np.abs(frames.astype(np.float64) - after).mean((1, 2, 3)) / 255


def summary(
    found: np.ndarray, slots: int, features: Mapping[str, np.ndarray], events: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Sum k* of transitions up, as JSON values.

    Args:
        found: k*, whether the tolerance was met, and evaluations, (N, 3).
        slots: M.
        features: Name to numbers (N,), NaN where one is not known.
        events: Name to bool (N,).

    Returns:
        "transitions", "mean", "met" (a share), "evaluations" (a mean), "histogram" (of k* = 1..M), "correlation" of
        each feature (Pearson's, None where nothing varies), and of each event that occurred its "count" and the mean k*
        "at" it and "elsewhere".
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
    """Pearson's correlation of k* with a feature, over the transitions where it is known."""
    known = np.isfinite(values)
    k, values = k[known], values[known]
    if len(k) < FEW or not np.ptp(k) or not np.ptp(values):
        return None
    return float(stats.pearsonr(k, values).statistic)


def ends(k: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the `count` cheapest and dearest transitions, spread evenly over those that are equal."""
    from flexlam_rl.utils.pictures import evenly

    order = np.argsort(k, kind="stable")
    low = order[k[order] <= k[order[min(count, len(k)) - 1]]]
    high = order[k[order] >= k[order[max(len(k) - count, 0)]]]
    return low[evenly(count, len(low))], high[evenly(count, len(high))]
