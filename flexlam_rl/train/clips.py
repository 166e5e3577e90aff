"""Clips to train on: windows of rollouts whose frames are a few rows apart.

Shapes: B clips, T frames, C H W frame.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.datasets import Rollouts, Windows
from flexlam_rl.train import distributed
from flexlam_rl.train.data import FrameSource
from flexlam_rl.train.definition import RunConfig, Splits
from flexlam_rl.train.options import StageOptions
from flexlam_rl.train.source import to_device
from flexlam_rl.utils.options import whole
from flexlam_rl.utils.pictures import above, beside, write_png


@dataclass(frozen=True)
class ClipOptions(StageOptions):
    """Train on clips."""

    every: int = field(default=1, kw_only=True)
    """Rows of the rollouts from one frame of a clip to the next."""

    def __post_init__(self) -> None:
        """Check the options, as in the class above."""
        super().__post_init__()
        whole(self, "every", 1)


def spread_windows(rollouts: Rollouts, frames: int, every: int, fields: tuple[str, ...] = ()) -> Windows:
    """Windows that hold `frames` frames, `every` rows apart.

    Raises:
        ValueError: All episodes are shorter.
    """
    return Windows(rollouts, (frames - 1) * every + 1, fields)


class ClipSource:
    """Batches with "frames" (B, T, H, W, C), "task" (B,), and "actions" (B, T) where the windows have actions.

    Args:
        windows: From `spread_windows`.
        every: Rows from one frame to the next.
        batch, seed, rank, ranks, device: As for `FrameSource`.
        tasks: Whether batches shall say which task a clip is of.
    """

    def __init__(
        self,
        windows: Windows,
        every: int,
        batch: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        device: str = "cpu",
        tasks: bool = False,
    ) -> None:
        self.every = every
        # frames that stay on a device come without the number of their store
        resident = False if tasks else None
        self.source = FrameSource(windows, batch, seed, rank, ranks, device=device, resident=resident)

    def next(self) -> dict[str, Any]:
        """The next batch."""
        return clip_batch(self.source.next(), self.every)

    def state_dict(self) -> dict[str, Any]:
        return self.source.batches.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.source.batches.load_state_dict(state)


def clip_batch(read: dict[str, Any], every: int) -> dict[str, Any]:
    """What `ClipSource` gives, of a batch of windows as they were read."""
    batch = {"frames": read["frames"][:, ::every]}
    if "level" in read:
        batch["task"] = read["level"]
    if "action" in read:
        batch["actions"] = led_to(read["action"])
    return batch


def led_to(actions: Any) -> Any:
    """Actions (B, T) as taken at each frame, to those that led to each: -1 at the first, whose own lies outside."""
    if isinstance(actions, Tensor):
        return torch.cat([torch.full_like(actions[:, :1], -1), actions[:, :-1]], dim=1).long()
    first = np.full((len(actions), 1), -1)
    return np.concatenate([first, actions[:, :-1]], axis=1).astype(np.int64)


def held_out_clips(windows: Windows, every: int, count: int) -> dict[str, Tensor]:
    """`count` clips, uniform over the rollouts, always the same: "frames" uint8 (B, T, C, H, W), and the rest."""
    read = next(windows.batches(count, seed=0, workers=0))
    return to_device(clip_batch(read, every), "cpu")


def data_variance(windows: Windows, count: int = 64) -> float:
    """Variance of the values of the data in [-0.5, 0.5], from `count` windows, rounded to six digits."""
    frames = next(windows.batches(min(count, len(windows)), seed=1, workers=0))["frames"]
    return float(f"{(frames / 255.0).var():.6g}")


def check_clips(
    splits: Splits, size: tuple[int, int, int], frames: int, every: int, fields: tuple[str, ...] = ()
) -> Windows:
    """Give the windows of the training data.

    Args:
        splits: The rollouts.
        size: Height, width and channels that the model takes.
        frames: T.
        every: Rows from one frame to the next.
        fields: Further columns of a batch.

    Raises:
        ValueError: Frames of the data and of the model differ in size, or all episodes are shorter than a clip.
    """
    for rollouts in (splits.train, splits.test):
        found = tuple(rollouts.stores[0].frames.row)
        if found != size:
            shapes = " and ".join("x".join(map(str, shape)) for shape in (found, size))
            raise ValueError(f"frames in {rollouts.stores[0].path} and of the model differ: {shapes}.")
        spread_windows(rollouts, frames, every)
    return spread_windows(splits.train, frames, every, fields)


def clip_source(
    options: ClipOptions, config: RunConfig, windows: Windows, splits: Splits, held_out: int, tasks: bool = False
) -> tuple[ClipSource, dict[str, Tensor]]:
    """Give the batches of a stage, and what it is evaluated on.

    Args:
        options: Of the stage.
        config: Of the stage.
        windows: From `check_clips`.
        splits: The rollouts.
        held_out: Clips to evaluate on.
        tasks: Whether batches shall say which task a clip is of.
    """
    rank, ranks = distributed.start(options.device)
    loop = config.loop
    source = ClipSource(windows, options.every, loop.batch, options.seed, rank, ranks, loop.device, tasks)
    return source, held_out_clips(Windows(splits.test, windows.span, windows.fields), options.every, held_out)


def write_clips(path: Path, clips: list[Tensor]) -> None:
    """Draw clips, uint8 (T, C, H, W) each, one below the other."""
    rows = [beside(list(np.ascontiguousarray(clip.movedim(1, -1).cpu().numpy()))) for clip in clips]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, above(rows))
