"""Conditions of VideoGPT's prior for clips.

Shapes: B clips, T frames, C H W frame, K numbers of a latent action.
"""

import torch
from torch import Tensor

from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.models.videogpt.prior import Told


@torch.no_grad()
def latent_actions(lam: SlotModel, frames: Tensor, budget: int) -> Tensor:
    """Compute the first `budget` slots of the latent action that led to each frame, (B, T, K); 0 at the first frame."""
    b, t = frames.shape[:2]
    frames = frames.to(lam.null.device)
    latents = lam.encode(frames[:, :-1].flatten(0, 1), frames[:, 1:].flatten(0, 1))
    slots = lam.keep_prefix(latents, budget)[:, :budget].flatten(1).view(b, t - 1, -1)
    return torch.cat([torch.zeros_like(slots[:, :1]), slots], dim=1)


def told_of(batch: dict[str, Tensor], tasks: bool) -> Told:
    """Collect the conditions of a batch."""
    return Told(batch.get("actions"), batch.get("latents"), batch["task"] if tasks else None)
