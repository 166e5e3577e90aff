"""Encoder from frames to states with several levels: a ViT whose features are read after several blocks.

Shapes: B frames, C H W frame, N patches, D width, G levels with the top one.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.lamo.config import MidwayConfig
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.patch_embed import patchify
from flexlam_rl.nn.transformer import Block


def normed(features: Tensor) -> Tensor:
    """Normalize features (..., D) to mean 0 and variance 1 over their numbers, as those of states are.

    The loss only compares directions, so states hold nothing else, and a predicted state can take the place of an
    observed one.
    """
    return F.layer_norm(features.float(), features.shape[-1:])


class LevelEncoder(nn.Module):
    """Computes all levels of states of frames in one pass."""

    def __init__(self, config: MidwayConfig) -> None:
        super().__init__()
        self.patch, self.taps = config.patch, config.taps
        self.embed = nn.Linear(config.channels * config.patch**2, config.width)
        self.position = nn.Parameter(torch.randn(config.patches, config.width) * 0.02)
        # blocks after the last one that is read would not be trained
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, config.hidden) for _ in range(config.taps[-1] + 1)
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Encode frames (B, C, H, W), uint8 or float in [-1, 1], as (B, G, N, D), lowest level first."""
        x, found = self.embed(patchify(to_unit(frames), self.patch)) + self.position, []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.taps:
                found.append(normed(x))
        return torch.stack(found, 1)
