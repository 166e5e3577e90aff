"""Priors over time: one to four tokens per frame, one token per past block of latents, and a head for the next block.

The transformer runs once per decision, so contexts of hundreds of frames are cheap, and all frames stay in them. A
subclass defines how blocks are embedded and what the head is.

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
    """Base of the priors over time. Frames are inputs, never targets.

    Args:
        config: Configuration with `image_size`, `channels`, `patch`, `patches`, `frames`, `width`, `depth`, `heads`,
            `ffn`, `rope_theta` and `norm_eps`.
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
        """Make the modules that embed past blocks."""

    @abstractmethod
    def build_head(self) -> None:
        """Make the modules that predict the next block from a state, if they begin with small weights."""

    @abstractmethod
    def embed_blocks(self, latents: Tensor, kept: Tensor | None = None) -> Tensor:
        """Embed blocks (..., m), or (..., m, d) for vectors, with m <= M, as one token each, (..., D).

        Args:
            latents: First slots of the blocks; the remaining slots are null.
            kept: int (...), the number of slots that count; None for all.
        """

    def embed_frames(self, frames: Tensor) -> Tensor:
        """Embed frames (..., C, H, W) as tokens (..., N, D)."""
        lead = frames.shape[:-3]
        tokens = self.stem(to_unit(frames.flatten(0, -4))) + self.frame_position
        return tokens.view(*lead, *tokens.shape[1:])

    def states(
        self, frames: Tensor, latents: Tensor, dropped: Dropped | None = None, kept: Tensor | None = None
    ) -> Tensor:
        """States (B, T, D) from which blocks are predicted, each from exactly the context of its decision.

        Args:
            frames: (B, T, C, H, W).
            latents: Codes (B, T, M) or vectors (B, T, M, d).
            dropped: Frames and blocks that later decisions do not see.
            kept: int (B, T), length of the prefix of each past block that is seen; None for whole blocks.
        """
        return self.states_of(frames, self.embed_blocks(latents, kept), dropped)

    def states_of(self, frames: Tensor, blocks: Tensor, dropped: Dropped | None = None) -> Tensor:
        """States (B, T, D) as `states` gives them, from blocks that are already embedded, (B, T, D)."""
        return self.run_over(self.embed_frames(frames), blocks, dropped)[:, :, -1]

    def run_over(self, seen: Tensor, blocks: Tensor, dropped: Dropped | None = None) -> Tensor:
        """Run the transformer over frame tokens (B, T, N, D) and block tokens (B, T, D); returns the frame tokens'
        outputs.
        """
        config = self.config
        b, t, n = seen.shape[:3]
        x = torch.cat([seen, blocks[:, :, None]], dim=2).flatten(1, 2)[:, :-1]  # no token sees the last block
        mask = causal_mask(t, n, config.frames, str(x.device))
        if dropped is not None:
            mask = mask & ~_unseen(t, n, dropped).to(x.device)
        cos, sin = rotary(torch.arange(x.shape[1], device=x.device), config.width // config.heads, config.rope_theta)
        hidden = F.pad(self.transformer(x, cos, sin, mask), (0, 0, 0, 1))
        return hidden.view(b, t, n + 1, -1)[:, :, :n]


@lru_cache(maxsize=64)
def causal_mask(frames: int, patches: int, window: int, device: str = "cpu") -> Tensor:
    """Attention mask, bool (L, L): a token sees itself and all tokens before it in the `window` frames up to its own.

    A frame's tokens come before the block that follows it; the last block has no token.
    """
    order = torch.arange(frames * (patches + 1) - 1, device=device)
    frame = order // (patches + 1)
    return (order[None] <= order[:, None]) & (frame[:, None] - frame[None] < window)


def _unseen(frames: int, patches: int, dropped: Dropped) -> Tensor:
    """Mask of what is dropped, bool (L, L): true where a row does not see a column. A frame's tokens see each other."""
    order = torch.arange(frames * (patches + 1) - 1)
    frame, is_block = order // (patches + 1), order % (patches + 1) == patches
    gone = torch.where(is_block, dropped.blocks[frame], dropped.frames[frame])
    own = (frame[:, None] == frame[None]) & (is_block[:, None] == is_block[None])
    return gone[None] & ~own
