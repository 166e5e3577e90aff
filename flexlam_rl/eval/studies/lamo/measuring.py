"""Rollouts of a trained model on held-out clips, and their quality at each horizon.

Shapes: N clips, T frames, C H W frame.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flexlam_rl.datasets import open_rollouts
from flexlam_rl.eval.studies.study import Rows
from flexlam_rl.eval.video.curves import compare_frames
from flexlam_rl.eval.video.distances import clip_vectors, frechet_distance
from flexlam_rl.eval.video.extractors import make_extractor
from flexlam_rl.models.lamo.config import PRESETS
from flexlam_rl.models.lamo.lamo import LaMo
from flexlam_rl.train.clips import check_enough_clips, held_out_clips, spread_windows, write_film

BATCH = 32
SHOWN = 6
"""Number of clips in an animation."""


def check(options: Any) -> None:
    """Refuse data or an extractor that the study cannot use.

    Raises:
        ValueError: There are too few clips, or there is no such extractor.
    """
    make_extractor(options.extractor)
    length = _length(options, PRESETS[options.preset].lamo.history)
    check_enough_clips(open_rollouts(options.data, split="test"), length, options.every, options.clips)


def _length(options: Any, history: int) -> int:
    return history + 1 + max(options.horizons)


def rollout_rows(folder: Path, steps: Sequence[int | None], options: Any, film: Path) -> Rows:
    """Measure a model, with one row per number of steps and horizon, and write an animation of its rollouts.

    Args:
        folder: Folder of a trained LaMo or of the baseline.
        steps: Numbers of steps of the flow head; None for a head without steps.
        options: Options of the study.
        film: File of the animation: held-out clips, and below them their first frames with the rollouts after them,
            at the last number of steps.
    """
    model = LaMo.from_pretrained(folder, device=options.device).eval()
    extractor, context = make_extractor(options.extractor), model.config.history + 1
    clips = _clips(options, model.config.history)
    rows: Rows = []
    for count in steps:
        generator, began = torch.Generator(options.device).manual_seed(0), time.perf_counter()
        parts = [
            model.rollout(part[:, :context].to(options.device), None, generator, max(options.horizons), count).cpu()
            for part in clips.split(BATCH)
        ]
        made, seconds = torch.cat(parts), time.perf_counter() - began
        speed = {"ms_per_frame": round(1000 * seconds / (len(clips) * max(options.horizons)), 3)}
        rows += [{"steps": count, **row, **speed} for row in _by_horizon(clips[:, context:], made, options, extractor)]
    shown = torch.linspace(0, len(clips) - 1, min(SHOWN, len(clips))).long()
    below = torch.cat([clips[:, :context], made], 1)
    write_film(film, [*clips[shown], *below[shown]], columns=len(shown))
    return rows


def repeated_rows(options: Any) -> Rows:
    """Measure the last frame that is shown, repeated, on the same clips, with one row per horizon."""
    context = PRESETS[options.preset].lamo.history + 1
    clips = _clips(options, context - 1)
    last = clips[:, context - 1 : context].expand(-1, max(options.horizons), -1, -1, -1)
    return list(_by_horizon(clips[:, context:], last, options, make_extractor(options.extractor)))


def _clips(options: Any, history: int) -> Tensor:
    """Read the held-out clips, (N, T, C, H, W)."""
    rollouts = open_rollouts(options.data, split="test")
    windows = spread_windows(rollouts, _length(options, history), options.every)
    return held_out_clips(windows, options.every, options.clips)["frames"]


def _by_horizon(truth: Tensor, made: Tensor, options: Any, extractor: Any) -> Iterator[dict[str, Any]]:
    for horizon in options.horizons:
        one, other = (frames[:, horizon - 1 : horizon] for frames in (truth, made))
        yield {"horizon": horizon, **_figures(one, other, extractor)}


def _figures(truth: Tensor, made: Tensor, extractor: Any) -> dict[str, float]:
    """Compare true and predicted frames at one horizon, (N, 1, C, H, W) each."""
    figures = {name: float(values.mean()) for name, values in compare_frames(truth, made).items()}
    distance = frechet_distance(*(clip_vectors(extractor, x) for x in (truth, made)))
    return {**figures, f"frechet-{extractor.name}": distance}
