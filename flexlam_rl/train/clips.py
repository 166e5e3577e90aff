"""Clips for training: windows of rollouts whose frames may be several rows apart.

Shapes: B clips, T frames, C H W frame.
"""

from collections.abc import Sequence
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
from flexlam_rl.utils.pictures import above, beside, contact_sheet, enlarged, write_animation, write_png


@dataclass(frozen=True)
class ClipOptions(StageOptions):
    """Train on clips."""

    every: int = field(default=1, kw_only=True)
    """Rows of the rollouts between consecutive frames of a clip."""

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        whole(self, "every", 1)


def spread_windows(rollouts: Rollouts, frames: int, every: int, fields: tuple[str, ...] = ()) -> Windows:
    """Make windows that hold `frames` frames, `every` rows apart.

    Raises:
        ValueError: All episodes are shorter than a window.
    """
    return Windows(rollouts, (frames - 1) * every + 1, fields)


class ClipSource:
    """Batches with "frames" (B, T, H, W, C), "task" (B,) if asked for, and "actions" (B, T) if the windows have
    actions.

    Args:
        windows: Result of `spread_windows`.
        every: Rows between consecutive frames.
        batch, seed, rank, ranks, device: As for `FrameSource`.
        tasks: Whether batches have the task of each clip.
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
        # batches of frames that stay on a device do not tell which store, and so which task, they come from
        resident = False if tasks else None
        self.source = FrameSource(windows, batch, seed, rank, ranks, device=device, resident=resident)

    def next(self) -> dict[str, Any]:
        """Give the next batch."""
        return clip_batch(self.source.next(), self.every)

    def state_dict(self) -> dict[str, Any]:
        return self.source.batches.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.source.batches.load_state_dict(state)


def clip_batch(read: dict[str, Any], every: int) -> dict[str, Any]:
    """Make a batch of `ClipSource` from a batch of windows."""
    batch = {"frames": read["frames"][:, ::every]}
    if "level" in read:
        batch["task"] = read["level"]
    if "action" in read:
        batch["actions"] = led_to(read["action"])
    return batch


def led_to(actions: Any) -> Any:
    """Shift actions (B, T) from the frame at which they were taken to the frame they led to; the first one gets -1."""
    if isinstance(actions, Tensor):
        return torch.cat([torch.full_like(actions[:, :1], -1), actions[:, :-1]], dim=1).long()
    first = np.full((len(actions), 1), -1)
    return np.concatenate([first, actions[:, :-1]], axis=1).astype(np.int64)


def held_out_clips(windows: Windows, every: int, count: int) -> dict[str, Tensor]:
    """Read `count` clips, uniform over the rollouts and always the same: "frames" uint8 (B, T, C, H, W), and
    the rest.
    """
    read = next(windows.batches(count, seed=0, workers=0))
    return to_device(clip_batch(read, every), "cpu")


def check_enough_clips(rollouts: Rollouts, frames: int, every: int, clips: int) -> None:
    """Refuse a test split with fewer than `clips` clips of `frames` frames, `every` rows apart.

    Raises:
        ValueError: There are fewer.
    """
    there = len(spread_windows(rollouts, frames, every))
    if there < clips:
        raise ValueError(f"clips is {clips}; the test split has {there} clips of {frames} frames.")


def data_variance(windows: Windows, count: int = 64) -> float:
    """Compute the variance of pixel values in [-0.5, 0.5], from `count` windows, rounded to six significant digits."""
    frames = next(windows.batches(min(count, len(windows)), seed=1, workers=0))["frames"]
    return float(f"{(frames / 255.0).var():.6g}")


def check_clips(
    splits: Splits, size: tuple[int, int, int], frames: int, every: int, fields: tuple[str, ...] = ()
) -> Windows:
    """Check that the rollouts fit a model of clips, and give the windows of the training data.

    Args:
        splits: The rollouts.
        size: Height, width and channels of the model's frames.
        frames: T, the frames of a clip.
        every: Rows between consecutive frames.
        fields: Further columns of a batch.

    Raises:
        ValueError: The frames of rollouts and model differ in size, or all episodes are shorter than a clip.
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
    """Make a stage's source of batches and its held-out clips.

    Args:
        options: Options of the stage.
        config: Configuration of the stage.
        windows: Result of `check_clips`.
        splits: The rollouts.
        held_out: Number of clips for evaluations.
        tasks: Whether batches have the task of each clip.
    """
    rank, ranks = distributed.start(options.device)
    loop = config.loop
    source = ClipSource(windows, options.every, loop.batch, options.seed, rank, ranks, loop.device, tasks)
    return source, held_out_clips(Windows(splits.test, windows.span, windows.fields), options.every, held_out)


def write_clips(path: Path, clips: list[Tensor]) -> None:
    """Draw clips, uint8 (T, C, H, W) each, one below the other, as a picture."""
    rows = [beside(list(np.ascontiguousarray(clip.movedim(1, -1).cpu().numpy()))) for clip in clips]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, above(rows))


def write_film(path: Path, clips: Sequence[Tensor], columns: int, fps: float = 5.0, factor: int = 2) -> None:
    """Write clips of one length, uint8 (T, C, H, W) each, side by side as an animation.

    Args:
        path: The file, which gets the ending .webp.
        clips: The clips, in reading order.
        columns: Number of clips in a row.
        fps: Frames per second.
        factor: Side of the square that is drawn per pixel.
    """
    shots = [np.ascontiguousarray(clip.movedim(1, -1).cpu().numpy()) for clip in clips]
    pictures = [enlarged(contact_sheet(moment, columns), factor) for moment in zip(*shots, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_animation(path.with_suffix(".webp"), pictures, fps)
