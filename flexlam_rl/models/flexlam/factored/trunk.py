"""Priors over time: one to four tokens per frame, one per past block of latents, and a head over the block ahead.

The transformer runs once per decision; contexts of hundreds of frames are cheap, and all frames stay in it. What a
block's token is made of, and what the head is, a prior adds.

Shapes: B batch, T frames, M slots per block, N tokens per frame, L tokens, D width, C H W frame.
"""

from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.flexlam.dropping import Dropped
from flexlam_rl.nn.conv_stem import ConvStem
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.rotary import rotary
from flexlam_rl.nn.transformer import CausalTransformer


class TimePrior(PretrainedModel, ABC):
    """Sees all frames and past blocks in its context; frames are inputs, never targets.

    Args:
        config: With `image_size`, `channels`, `patch`, `patches`, `frames`, `width`, `depth`, `heads`, `ffn`,
            `rope_theta` and `norm_eps`.
    """

    compiled_parts = ("transformer",)

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config, patches = config, config.patches
        self.stem = ConvStem(config.channels, config.width, config.patch)
        self.frame_position = nn.Parameter(torch.randn(patches, config.width) * 0.02)
        self.build_past()
        self.transformer = CausalTransformer(config.width, config.depth, config.heads, config.ffn, config.norm_eps)
        self.build_head()
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
                if isinstance(module, nn.Linear) and module.bias is not None:
                    nn.init.zeros_(module.bias)

    @abstractmethod
    def build_past(self) -> None:
        """Make what embeds past blocks."""

    @abstractmethod
    def build_head(self) -> None:
        """Make what predicts the block ahead from a state, as far as it begins with small weights."""

    @abstractmethod
    def embed_blocks(self, latents: Tensor, kept: Tensor | None = None) -> Tensor:
        """Blocks (..., m), or (..., m, d) of vectors, m <= M, to one token each, (..., D).

        Args:
            latents: Their first slots; those behind are null.
            kept: int (...): how many of them count, None for all.
        """

    def embed_frames(self, frames: Tensor) -> Tensor:
        """Frames (..., C, H, W) to tokens (..., N, D)."""
        lead = frames.shape[:-3]
        tokens = self.stem(to_unit(frames.flatten(0, -4))) + self.frame_position
        return tokens.view(*lead, *tokens.shape[1:])

    def states(
        self, frames: Tensor, latents: Tensor, dropped: Dropped | None = None, kept: Tensor | None = None
    ) -> Tensor:
        """States (B, T, D) that every block is predicted from, each from exactly the context its decision will have.

        Args:
            frames: (B, T, C, H, W).
            latents: (B, T, M), or (B, T, M, d) of vectors.
            dropped: What later decisions do not see.
            kept: int (B, T): the prefix of each past block that is seen, None for whole blocks.
        """
        return self.states_of(frames, self.embed_blocks(latents, kept), dropped)

    def states_of(self, frames: Tensor, blocks: Tensor, dropped: Dropped | None = None) -> Tensor:
        """The same, of blocks that are tokens already, (B, T, D)."""
        return self.run_over(self.embed_frames(frames), blocks, dropped)[:, :, -1]

    def run_over(self, seen: Tensor, blocks: Tensor, dropped: Dropped | None = None) -> Tensor:
        """What the transformer makes of each frame's tokens (B, T, N, D), given these and the blocks (B, T, D)."""
        config = self.config
        b, t, n = seen.shape[:3]
        x = torch.cat([seen, blocks[:, :, None]], dim=2).flatten(1, 2)[:, :-1]  # the last block is seen by nothing
        mask = causal_mask(t, n, config.frames, str(x.device))
        if dropped is not None:
            mask = mask & ~_unseen(t, n, dropped).to(x.device)
        cos, sin = rotary(torch.arange(x.shape[1], device=x.device), config.width // config.heads, config.rope_theta)
        hidden = F.pad(self.transformer(x, cos, sin, mask), (0, 0, 0, 1))
        return hidden.view(b, t, n + 1, -1)[:, :, :n]


@lru_cache(maxsize=64)
def causal_mask(frames: int, patches: int, window: int, device: str = "cpu") -> Tensor:
    """Which token sees which, bool (L, L): all before it and itself, of the `window` frames up to its own.

    A frame's tokens stand before the block that follows it; the last block has no token.
    """
    order = torch.arange(frames * (patches + 1) - 1, device=device)
    frame = order // (patches + 1)
    return (order[None] <= order[:, None]) & (frame[:, None] - frame[None] < window)


def _unseen(frames: int, patches: int, dropped: Dropped) -> Tensor:
    """Which token does not see which for what is dropped, bool (L, L): a frame's tokens still see one another."""
    order = torch.arange(frames * (patches + 1) - 1)
    frame, is_block = order // (patches + 1), order % (patches + 1) == patches
    gone = torch.where(is_block, dropped.blocks[frame], dropped.frames[frame])
    own = (frame[:, None] == frame[None]) & (is_block[:, None] == is_block[None])
    return gone[None] & ~own
