"""Quality of predictions step by step into the future: one sample per context, each step with its interval.

Shapes: N clips, T frames, S seeds, C H W picture. Frames are uint8, or float in [-1, 1].
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.eval.suite.statistics import interval_ends, mean_of_levels
from flexlam_rl.eval.video.distances import perceptual_distance
from flexlam_rl.eval.video.extractors import Extractor
from flexlam_rl.eval.video.pixels import peak_signal_to_noise, structural_similarity
from flexlam_rl.nn.frames import to_unit

Values = Mapping[str, np.ndarray]
"""Measurements by name, each (N, T)."""
Predict = Callable[[Tensor, int, torch.Generator], Tensor]
"""Function `predict(context, first, generator)` that predicts frames (n, horizon, C, H, W) from the first frames of n
clips; `first` is the number of the first of these clips.
"""


@dataclass(frozen=True)
class Curve:
    """A measure at each step, with 95% intervals, whose ends are None for a single value."""

    mean: tuple[float, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    count: int
    """Number of independent values at each step: clips, or seeds."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain lists."""
        return {"mean": list(self.mean), "low": list(self.low), "high": list(self.high), "count": self.count}


def compare_frames(truth: Tensor, given: Tensor, extractor: Extractor | None = None) -> dict[str, np.ndarray]:
    """Compare clips frame by frame.

    Args:
        truth, given: True and given clips, (N, T, C, H, W).
        extractor: Extractor for a perceptual distance, which is named after it; None for no such distance.

    Returns:
        "psnr", "ssim" and, with an extractor, "perceptual-<extractor>", each (N, T).

    Raises:
        ValueError: The shapes differ.
    """
    if truth.shape != given.shape:
        raise ValueError(f"Clips of shapes {tuple(truth.shape)} and {tuple(given.shape)} cannot be compared.")
    a, b = to_unit(given.flatten(0, 1)), to_unit(truth.flatten(0, 1))
    found = {"psnr": peak_signal_to_noise(a, b), "ssim": structural_similarity(a, b)}
    if extractor is not None:
        found[f"perceptual-{extractor.name}"] = perceptual_distance(extractor, a, b)
    return {name: values.unflatten(0, truth.shape[:2]).numpy() for name, values in found.items()}


def horizon_values(
    predict: Predict, clips: Tensor, context: int, seed: int, extractor: Extractor | None = None, batch: int = 16
) -> dict[str, np.ndarray]:
    """Predict the rest of each clip once from its first frames, and compare it with the true frames.

    Args:
        predict: Function that predicts.
        clips: True clips, (N, T, C, H, W).
        context: Number of frames that are shown, 1..T - 1.
        seed: Seed of the predictions.
        extractor: As for `compare_frames`.
        batch: Number of clips per call.

    Returns:
        The measurements, each (N, T - context).

    Raises:
        ValueError: `context` is out of range, or the predictions have another shape than the true frames.
    """
    if not 1 <= context < clips.shape[1]:
        raise ValueError(f"context is {context} frames of clips of {clips.shape[1]}; expected 1..{clips.shape[1] - 1}.")
    generator = torch.Generator().manual_seed(seed)
    parts: list[Values] = []
    for first in range(0, len(clips), batch):
        part = clips[first : first + batch]
        parts.append(compare_frames(part[:, context:], predict(part[:, :context], first, generator), extractor))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def curve(values: np.ndarray) -> Curve:
    """Compute the mean of values (N, T) at each step, with Student's interval over the N.

    These must be independent of each other, such as clips of different episodes, or means of trainings with different
    seeds.
    """
    means, ends = values.mean(0), [_ends(column) for column in np.asarray(values, np.float64).T]
    return Curve(
        tuple(float(x) for x in means), tuple(low for low, _ in ends), tuple(high for _, high in ends), len(values)
    )


def over_seeds(runs: Mapping[int, Values]) -> dict[str, Curve]:
    """Compute the curves of a method, with the mean of each seed as a value, as a claim about a method needs.

    Args:
        runs: Measurements (N, T) of each training, by seed.

    Raises:
        ValueError: The runs have different measurements.
    """
    names = {tuple(sorted(run)) for run in runs.values()}
    if len(names) != 1:
        raise ValueError(f"Runs of seeds {sorted(runs)} have different measures; expected the same of each.")
    return {name: curve(np.stack([runs[seed][name].mean(0) for seed in sorted(runs)])) for name in names.pop()}


def _ends(values: np.ndarray) -> tuple[float | None, float | None]:
    return interval_ends([values], mean_of_levels) if len(values) > 1 else (None, None)
