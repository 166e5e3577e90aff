"""Means over training seeds, as cells of a table."""

from collections.abc import Sequence

import numpy as np

from flexlam_rl.eval.video.curves import curve


def over_seeds(values: Sequence[float], digits: int) -> tuple[str, str]:
    """Write the mean of one value per seed, and its 95% interval ("none" for a single seed).

    Args:
        values: One value per seed.
        digits: Number of digits after the point.
    """
    found = curve(np.array(values)[:, None])
    low, high = found.low[0], found.high[0]
    ends = "none" if low is None or high is None else f"{low:.{digits}f} to {high:.{digits}f}"
    return f"{found.mean[0]:.{digits}f}", ends
