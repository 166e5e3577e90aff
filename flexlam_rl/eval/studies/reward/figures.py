"""Figures of an audit: whether the score ranks video as it should.

Shapes: T steps, E episodes.
"""

import time
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import mannwhitneyu, spearmanr
from torch import Tensor

from flexlam_rl.agents.rewards.density import Density
from flexlam_rl.eval.studies.reward.video import Video


@dataclass(frozen=True)
class Scored:
    """Scores of a video under a density.

    Attributes:
        totals: Scores, (T, E); NaN where a frame does not follow from the one before.
        codes: Mean score of each code, by kind of player.
        seconds: Seconds per step of all E environments together.
    """

    totals: np.ndarray
    codes: dict[str, np.ndarray]
    seconds: float


def score_video(density: Density, video: Video) -> Scored:
    """Score a video step by step, as while it is played."""
    kinds = np.array(video.kinds)
    totals = np.full((len(video.frames) - 1, len(kinds)), np.nan)
    sums: dict[str, np.ndarray] = {}
    counts = dict.fromkeys(video.kinds, 0)
    began = time.perf_counter()
    for t, (frames, begins) in enumerate(zip(video.frames, video.begins, strict=True)):
        if t:
            found = density.score(frames)
            follows = ~begins.numpy()
            totals[t - 1] = np.where(follows, _numbers(found.total), np.nan)
            codes = _numbers(found.codes)
            for kind in counts:
                rows = follows & (kinds == kind)
                sums[kind] = sums.get(kind, 0.0) + codes[rows].sum(0)
                counts[kind] += int(rows.sum())
        density.advance(frames, begins)
    seconds = (time.perf_counter() - began) / max(1, len(totals))
    return Scored(totals, {kind: total / max(1, counts[kind]) for kind, total in sums.items()}, seconds)


def audit(scored: Scored, video: Video) -> dict[str, float]:
    """Compute the AUROC of the expert's episodes against the others', and the rank correlation of score and return.

    Returns:
        "auroc_<kind>", the probability that an expert's episode scores higher than one of that kind (0.5 is chance),
        where an episode's score is the mean over its steps; "auroc_step_<kind>", the same for single steps; "rank",
        Spearman's correlation of score and return over all episodes, 0 where all returns are equal; and, if there are
        repeated actions, "above_repeated", the expert's score minus that of the likeliest of them. Below 0, an agent
        gains most by repeating that action.
    """
    kinds, means = np.array(video.kinds), np.nanmean(scored.totals, axis=0)
    figures = {f"score_{kind}": float(means[kinds == kind].mean()) for kind in dict.fromkeys(video.kinds)}
    for kind in dict.fromkeys(video.kinds):
        if kind != "expert":
            figures[f"auroc_{kind}"] = auroc(means[kinds == "expert"], means[kinds == kind])
            mine, theirs = (scored.totals[:, kinds == one].ravel() for one in ("expert", kind))
            figures[f"auroc_step_{kind}"] = auroc(mine[~np.isnan(mine)], theirs[~np.isnan(theirs)])
    if "repeated" in video.kinds:
        figures["above_repeated"] = figures["score_expert"] - float(means[kinds == "repeated"].max())
    flat = np.ptp(video.returns) == 0 or np.ptp(means) == 0
    figures["rank"] = 0.0 if flat else float(spearmanr(means, video.returns).statistic)
    return figures | {"seconds": scored.seconds}


def auroc(higher: np.ndarray, lower: np.ndarray) -> float:
    """Compute the probability that a value of the first set exceeds one of the second, with ties counted half."""
    return float(mannwhitneyu(higher, lower).statistic / (len(higher) * len(lower)))


def heat_map(codes: np.ndarray) -> np.ndarray:
    """Draw mean scores of codes as brightness, uint8 (rows, columns): positions in a frame, or slots in a row."""
    grid = codes.sum(-1) if codes.ndim == 3 else codes[None]
    low, high = float(grid.min()), float(grid.max())
    return np.round(255 * (grid - low) / max(high - low, 1e-12)).astype(np.uint8)


def _numbers(values: Tensor) -> np.ndarray:
    return values.detach().to("cpu", torch.float64).numpy()
