"""Transition encoder: two consecutive frames to M slot vectors (paper, table 6).

Shapes: B batch, C H W frame, N patches, M slots, D width, d numbers per slot.
"""

import torch
from torch import Tensor, nn

from flexlam_rl.models.flexlam.config import EncoderConfig
from flexlam_rl.nn.conv_stem import ConvStem, halved
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.patch_embed import LinearPatches, Size, patch_count
from flexlam_rl.nn.transformer import Block

HALVINGS = 2
"""Times that a convolutional stem halves its grid of cells."""


def frame_tokens(config: EncoderConfig, size: Size, channels: int) -> tuple[nn.Module, int]:
    """Make the module that turns pictures (B, C, H, W) into tokens (B, N, D), and give N.

    Raises:
        ValueError: The patches do not divide the pictures.
    """
    patches = patch_count(size, config.patch, "encoder")
    if config.stem == "linear":
        return LinearPatches(channels, config.width, config.patch), patches
    rows, columns = halved((size[0] // config.patch, size[1] // config.patch), HALVINGS)
    return ConvStem(channels, config.width, config.patch << HALVINGS, config.patch), rows * columns


class TransitionEncoder(nn.Module):
    """ViT over tubelets of both frames, or over the output of a convolutional stem.

    Learned slot tokens join the patches and are read out, so that any M is possible. The paper leaves the read-out
    open; with slot tokens, every slot sees every patch and the other slots.
    """

    def __init__(self, config: EncoderConfig, size: Size, channels: int, slots: int, out_dim: int) -> None:
        super().__init__()
        self.embed, patches = frame_tokens(config, size, 2 * channels)
        self.position = nn.Parameter(torch.randn(patches, config.width) * 0.02)
        self.slot_tokens = nn.Parameter(torch.randn(slots, config.width) * 0.02)
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, int(config.mlp_ratio * config.width)) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, out_dim)

    def forward(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """Encode frames (B, C, H, W), uint8 or float in [-1, 1], as slot vectors (B, M, d)."""
        # the input is the current frame and the change: the same information as two frames, but small motion is not
        # lost between two large values
        now, then = to_unit(obs), to_unit(next_obs)
        tokens = self.embed(torch.cat([now, then - now], dim=1)) + self.position
        x = torch.cat([self.slot_tokens.expand(len(tokens), -1, -1).to(tokens.dtype), tokens], dim=1)
        *blocks, last = self.blocks
        for block in blocks:
            x = block(x)
        return self.head(self.norm(last(x, len(self.slot_tokens))))
