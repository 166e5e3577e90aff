"""Measurements of each job of a consistency study.

Shapes: N clips, T frames, C H W picture.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.eval.studies.consistency.options import Job, Options, parse_protocol
from flexlam_rl.eval.studies.consistency.predicting import Arm
from flexlam_rl.eval.studies.consistency.report import show
from flexlam_rl.eval.studies.study import Rows
from flexlam_rl.eval.video.curves import compare_frames, curve
from flexlam_rl.eval.video.distances import clip_vectors
from flexlam_rl.eval.video.extractors import Extractor
from flexlam_rl.eval.video.figures import distribution_figures
from flexlam_rl.eval.video.loop_closure import compare_views, find_views
from flexlam_rl.eval.video.posed_clips import PosedClips


def measure(job: Job, options: Options, arm: Arm, whole: PosedClips, extractor: Extractor, real: Tensor) -> Rows:
    """Predict under a protocol and measure: return one row, and write pictures beside the results.

    Args:
        job, options: What is measured, and how.
        arm: The model.
        whole: The true clips, as long as the longest protocol needs.
        extractor: Network of the distances.
        real: Features of the true frames after the context (`clip_vectors`).
    """
    context, horizon = parse_protocol(job.protocol)
    clips = whole.cut(context + horizon)
    truth, made = clips.frames[:, context:], predictions(job, options, arm, clips, context)
    values = compare_frames(truth, made, None if extractor.clips else extractor)
    row: dict[str, Any] = {"arm": job.arm, "model": job.model, "budget": job.budget, "run": job.run}
    row |= {"protocol": job.protocol, "clips": len(truth), "told": arm.kind}
    row["curves"] = {name: curve(found).to_json() for name, found in values.items()}
    row["mean"] = {name: float(found.mean()) for name, found in values.items()}
    row["frechet"] = distribution_figures(real, clip_vectors(extractor, made), extractor, horizon)
    if clips.places is not None and clips.yaws is not None:
        views = find_views(clips.places, clips.yaws, context)
        row["loop"] = {name: compare_views(found, views) for name, found in values.items()}
        row["recall"] = _recalled(clips, views.seen, context)
    show(options.out, job.name, truth, made)
    return [row]


def predictions(job: Job, options: Options, arm: Arm, clips: PosedClips, context: int) -> Tensor:
    """Predict all clips, `batch` at a time."""
    made = []
    for first in range(0, len(clips.frames), options.batch):
        rows = slice(first, first + options.batch)
        part = PosedClips(clips.frames[rows], None if clips.actions is None else clips.actions[rows])
        seeds = [options.seed * 1_000_003 + 101 * job.run + first + i for i in range(len(part.frames))]
        made.append(arm.predict(part, context, job.budget, seeds))
    return torch.cat(made)


def _recalled(clips: PosedClips, seen: np.ndarray, context: int) -> float | None:
    """Compute the PSNR of repeating the context frames that the camera returns to, as a perfect memory that ignores the
    exact pose would. None where the camera returns to nothing.
    """
    where = np.argwhere(seen >= 0)
    if not len(where):
        return None
    truth = torch.stack([clips.frames[i, context + step] for i, step in where.tolist()])
    again = torch.stack([clips.frames[i, seen[i, step]] for i, step in where.tolist()])
    return float(compare_frames(truth[:, None], again[:, None])["psnr"].mean())
