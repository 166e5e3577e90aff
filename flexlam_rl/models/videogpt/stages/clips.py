"""Clips to train on.

Shapes: B clips, T frames, C H W frame, K numbers of a latent action.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.datasets import Rollouts, Windows
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.models.videogpt.prior import Told
from flexlam_rl.train.data import FrameSource
from flexlam_rl.train.source import to_device


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


@torch.no_grad()
def latent_actions(lam: SlotModel, frames: Tensor, budget: int) -> Tensor:
    """The first `budget` slots of the latent actions that led to each frame, (B, T, K); 0 at the first frame."""
    b, t = frames.shape[:2]
    latents = lam.encode(frames[:, :-1].flatten(0, 1), frames[:, 1:].flatten(0, 1))
    slots = lam.keep_prefix(latents, budget)[:, :budget].flatten(1).view(b, t - 1, -1)
    return torch.cat([torch.zeros_like(slots[:, :1]), slots], dim=1)


def told_of(batch: dict[str, Tensor], tasks: bool) -> Told:
    """What a prior is told of a batch."""
    return Told(batch.get("actions"), batch.get("latents"), batch["task"] if tasks else None)
