"""Statistics of features, which LeRobot uses for normalization."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
PICTURES = 32  # pictures per episode that are measured, spread evenly

Stats = dict[str, np.ndarray]


def of_numbers(values: np.ndarray) -> Stats:
    """Compute statistics over the rows of a feature (R, D)."""
    values = values.reshape(len(values), -1).astype(np.float64)
    found = {
        "min": values.min(0),
        "max": values.max(0),
        "mean": values.mean(0),
        "std": values.std(0),
        "count": np.array([len(values)]),
    }
    return found | {name: np.quantile(values, share, axis=0) for name, share in QUANTILES.items()}


def of_pictures(frames: np.ndarray) -> Stats:
    """Compute statistics per channel of pictures (R, H, W, C), scaled to [0, 1]; each is (C, 1, 1)."""
    chosen = frames[np.unique(np.linspace(0, len(frames) - 1, PICTURES).round().astype(int))]
    found = of_numbers(chosen.reshape(-1, frames.shape[-1]))
    pictures = {name: values[:, None, None] / 255 for name, values in found.items() if name != "count"}
    return pictures | {"count": np.array([len(chosen)])}


def together(parts: Sequence[Mapping[str, Stats]]) -> dict[str, Stats]:
    """Combine statistics of episodes; quantiles are averaged, weighted by the numbers of rows."""
    made: dict[str, Stats] = {}
    for name in parts[0]:
        stack = {key: np.stack([part[name][key] for part in parts]) for key in parts[0][name]}
        count = stack["count"].astype(np.float64)
        weight = (count / count.sum()).reshape(-1, *(1,) * (stack["mean"].ndim - 1))
        mean = (weight * stack["mean"]).sum(0)
        spread = (weight * (stack["std"] ** 2 + (stack["mean"] - mean) ** 2)).sum(0)
        made[name] = {
            "min": stack["min"].min(0),
            "max": stack["max"].max(0),
            "mean": mean,
            "std": np.sqrt(spread),
            "count": stack["count"].sum(0),
            **{key: (weight * stack[key]).sum(0) for key in QUANTILES},
        }
    return made


def plain(stats: Mapping[str, Stats]) -> dict[str, Any]:
    """Convert statistics to JSON values."""
    return {name: {key: value.tolist() for key, value in one.items()} for name, one in stats.items()}
