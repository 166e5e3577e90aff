"""Measurements of the study of elastic lengths on held-out blocks.

Shapes: B blocks or clips, n blocks of a clip, T frames, C H W frame, L lengths.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.datasets import Rollouts
from flexlam_rl.eval.studies.study import Rows
from flexlam_rl.eval.video.pixels import edge_strength
from flexlam_rl.models.elastictok.config import ElasticTokConfig
from flexlam_rl.models.elastictok.elastictok import ElasticTok, squared_error
from flexlam_rl.models.elastictok.regressor import LengthRegressor
from flexlam_rl.models.elastictok.stepping import Distance, Stepper, search_clips
from flexlam_rl.models.systems import load_model
from flexlam_rl.nn.frames import to_bytes
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.prefix_search import cost_curves, grid, search, shortest
from flexlam_rl.train.clips import held_out_clips, spread_windows
from flexlam_rl.utils.pictures import Picture, above, beside, caption, write_png

CHUNK = 32
SHOWN = 6
"""Number of blocks in a picture."""


class HeldOut(NamedTuple):
    """Held-out clips.

    Attributes:
        clips: Frames, uint8 (B, n T, C, H, W).
        tasks: Name of each clip's task.
        complexity: Mean `edge_strength` of each block's frames, (B, n).
        blocks: Number of blocks per clip, n.
    """

    clips: Tensor
    tasks: list[str]
    complexity: Tensor
    blocks: int

    def single(self) -> Tensor:
        """Return the single blocks, (B n, T, C, H, W)."""
        return self.clips.unflatten(1, (self.blocks, -1)).flatten(0, 1)

    def rows(self) -> Rows:
        """Return one row per block with its clip, position, task and complexity, clip by clip."""
        return [
            {"block": i * self.blocks + j, "position": j, "task": task, "complexity": float(self.complexity[i, j])}
            for i, task in enumerate(self.tasks)
            for j in range(self.blocks)
        ]


def held_out(test: Rollouts, model: ElasticTokConfig, options: Any) -> HeldOut:
    """Draw the held-out clips, which are always the same."""
    windows = spread_windows(test, model.frames * options.blocks, options.every)
    batch = held_out_clips(windows, options.every, max(1, min(len(windows), options.held_out // options.blocks)))
    frames = batch["frames"]
    strength = edge_strength(frames.flatten(0, 1)).unflatten(0, (len(frames), options.blocks, model.frames)).mean(2)
    return HeldOut(frames, [test.levels[i] for i in batch["task"].tolist()], strength, options.blocks)


def distance_of(objective: str) -> Distance:
    """Return the distance that an objective names.

    Raises:
        ValueError: There is no such extractor.
    """
    if not objective.startswith("perceptual:"):
        return squared_error
    from flexlam_rl.eval.video.distances import perceptual_distance
    from flexlam_rl.eval.video.extractors import make_extractor

    extractor = make_extractor(objective.partition(":")[2])

    def distance(truth: Tensor, rebuilt: Tensor) -> Tensor:
        found = perceptual_distance(extractor, truth.flatten(0, 1), rebuilt.clamp(-1, 1).flatten(0, 1))
        return found.unflatten(0, truth.shape[:2]).mean(1)

    return distance


def measure(job: Any, out: Path, config: Any, data: HeldOut, distance: Distance, device: str) -> Rows:
    """Measure a job of the study, and return its rows."""
    run, stage = out / "runs" / job.name, "elastictok_regressor" if job.what == "regressor" else "elastictok"
    model: Any = load_model(run / stage / "best" / stage, device).requires_grad_(False).eval()
    common: dict[str, Any] = {"seed": job.seed}
    if job.what == "elastic":
        curves, lengths = block_curves(model, data.single(), distance)
        draw(model, data, config.thresholds, distance, out / "pictures" / f"{job.name}.png")
        return [common | row for row in elastic_rows(curves, lengths, data, config)]
    if job.what == "constant":
        errors = block_curves(model, data.single(), distance)[0][:, 0]
        return [common | row for row in constant_rows(errors, job.length, config.thresholds)]
    alone: Any = load_model(out / "runs" / f"elastic-seed{job.seed}" / "elastictok/best/elastictok", device).eval()
    alone.requires_grad_(False)
    if job.what == "regressor":
        return [common | row for row in regressor_rows(alone, model, data, config.thresholds, distance)]
    return [common | row for row in grown_rows(alone, model, data, config.thresholds, distance)]


@in_own_modes
def block_curves(model: ElasticTok, blocks: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Compute the costs (B, L) of single blocks (B, T, C, H, W) at every length of the model; also give the lengths."""
    lengths = grid(model.config.longest, model.config.least)
    parts = []
    for part in blocks.split(CHUNK):
        part, stepper = part.to(model.null.device), Stepper(model, len(part), 1)
        parts.append(cost_curves(_costs(stepper, part, distance), len(part), lengths.to(part.device)).cpu())
    return torch.cat(parts), lengths


def _costs(stepper: Stepper, part: Tensor, distance: Distance) -> Callable[[Tensor], Tensor]:
    return lambda lengths: distance(part, stepper.run(part, lengths).frames)


def elastic_rows(curves: Tensor, lengths: Tensor, data: HeldOut, config: Any) -> Rows:
    """Compare the searches on each block, and lengths up to a cap, from the costs (B, L) at every length."""
    rows: Rows = []
    least, most = int(lengths[0]), int(lengths[-1])

    def look_up(asked: Tensor) -> Tensor:
        return curves[torch.arange(len(asked)), asked - least]

    for threshold in config.thresholds:
        found = {
            how: search(look_up, len(curves), most, threshold, how, least=least, bins=config.bins)
            for how in ("full", "binned", "binary")
        }
        each = zip(data.rows(), *(found["full"][:2]), strict=True)
        rows += [
            row | {"what": "block", "threshold": threshold, "length": int(length), "met": bool(met)}
            for row, length, met in each
        ]
        truth = found["full"].lengths
        rows += [
            {"what": "search", "search": how, "threshold": threshold, **_search_figures(one.lengths, truth),
             "evaluations": float(one.evaluations.double().mean()), "met": _share(one.met)}
            for how, one in found.items()
        ]  # fmt: skip
        for i, cap in enumerate(lengths.tolist()):
            capped, met = shortest(curves[:, : i + 1], lengths[: i + 1], threshold)
            rows.append(
                {"what": "cap", "threshold": threshold, "cap": cap, "tokens": float(capped.double().mean()),
                 "share": _share(met), "share at the cap": _share(curves[:, i] <= threshold),
                 "worst": float(look_up(capped).max())}
            )  # fmt: skip
    return rows


def _search_figures(lengths: Tensor, truth: Tensor) -> dict[str, float]:
    """Compute the mean error of lengths as a share of the full search's (table 4.4), and the mean length."""
    error = ((lengths - truth).abs().double() / truth).mean()
    return {"error": float(error), "tokens": float(lengths.double().mean())}


def _share(good: Tensor) -> float:
    return float(good.double().mean())


def constant_rows(errors: Tensor, length: int, thresholds: tuple[float, ...]) -> Rows:
    """Make the rows of an autoencoder of constant length."""
    common = {"what": "constant", "length": length, "worst": float(errors.max()), "mean": float(errors.mean())}
    return [common | {"threshold": threshold, "share": _share(errors <= threshold)} for threshold in thresholds]


@in_own_modes
def regressor_rows(
    model: ElasticTok, regressor: LengthRegressor, data: HeldOut, thresholds: tuple[float, ...], distance: Distance
) -> Rows:
    """Measure how close the regressor's guesses are to the full search, and how often they meet the threshold."""
    curves, lengths = block_curves(model, data.single(), distance)
    rows: Rows = []
    for threshold in thresholds:
        truth, _ = shortest(curves, lengths, threshold)
        guesses = torch.cat([regressor.guess(part, threshold).cpu()[:, 0] for part in data.single().split(CHUNK)])
        costs = curves[torch.arange(len(curves)), guesses - int(lengths[0])]
        figures = _search_figures(guesses, truth) | {"evaluations": 1.0, "met": _share(costs <= threshold)}
        rows.append({"what": "search", "search": "regressed", "threshold": threshold, **figures})
    return rows


@in_own_modes
def grown_rows(
    alone: ElasticTok, grown: ElasticTok, data: HeldOut, thresholds: tuple[float, ...], distance: Distance
) -> Rows:
    """Measure lengths, and errors at equal lengths, of blocks that see the blocks before them and of single blocks."""
    rows: Rows = []
    for name, model, clips in (("alone", alone, data.single()), ("grown", grown, data.clips)):
        for threshold in thresholds:
            found = [search_clips(model, part, threshold, "binary", distance=distance) for part in clips.split(CHUNK)]
            lengths, met = (torch.cat([one[i] for one in found]).flatten().tolist() for i in (1, 2))
            rows += [
                row | {"what": "blocks", "model": name, "threshold": threshold, "length": length, "met": good}
                for row, length, good in zip(data.rows(), lengths, met, strict=True)
            ]
        for length in sorted({model.config.least, model.config.tokens // 4, model.config.longest}):
            errors = _errors(model, clips, length, distance).view(-1, data.blocks).double().mean(0)
            rows += [
                {"what": "position", "model": name, "length": length, "position": i, "error": float(error)}
                for i, error in enumerate(errors)
            ]
    return rows


def _errors(model: ElasticTok, clips: Tensor, length: int, distance: Distance) -> Tensor:
    """Compute the costs of all blocks of clips at one length, clip by clip."""
    found = []
    for part in clips.split(CHUNK):
        part = part.to(model.null.device)
        rebuilt, each = model.reconstruct(part, length), model.config.frames
        pairs = zip(part.split(each, 1), rebuilt.split(each, 1), strict=True)
        found.append(torch.stack([distance(truth, given) for truth, given in pairs], 1).flatten())
    return torch.cat(found)


def draw(model: ElasticTok, data: HeldOut, thresholds: tuple[float, ...], distance: Distance, path: Path) -> None:
    """Draw the first frames of blocks, from the least to the most complex, and below them their reconstructions at the
    lengths that a search finds for each threshold, with these lengths.
    """
    order = data.complexity.flatten().argsort()
    frames = data.single()[order[torch.linspace(0, len(order) - 1, min(SHOWN, len(order))).long()]]
    rows = [beside(_first_frames(frames))]
    for threshold in thresholds:
        found = search_clips(model, frames, threshold, "binary", distance=distance)
        left = zip(_first_frames(to_bytes(found.frames)), found.lengths[:, 0].tolist(), strict=True)
        rows.append(beside([caption(picture, f"{threshold:g}: {length}") for picture, length in left]))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, above(rows))


def _first_frames(clips: Tensor) -> list[Picture]:
    return list(np.ascontiguousarray(clips[:, 0].movedim(1, -1).cpu().numpy()))
