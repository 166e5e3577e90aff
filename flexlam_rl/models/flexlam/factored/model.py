"""The factored prior: time and codes apart.

The paper's sequence model runs every code through the whole transformer, so a decision of K codes costs K passes, and a
past block M tokens of context. Here a frame is one to four tokens, a past block one; the transformer runs once per
decision, and a small head (`nn.code_head`) predicts the block's codes one after another from its last state. Contexts
of hundreds of frames are cheap, and all frames stay in it.

Shapes: B batch, T frames, M codes per block, N tokens per frame, L tokens, D width, E numbers per embedded code, V
codes, C H W frame.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.flexlam.dropping import Dropped
from flexlam_rl.models.flexlam.factored.config import FactoredConfig
from flexlam_rl.nn.code_head import CodeHead
from flexlam_rl.nn.conv_stem import ConvStem
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.patch_embed import frame_size, patch_count
from flexlam_rl.nn.prefix import retained
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.rotary import rotary
from flexlam_rl.nn.sampling import code_losses
from flexlam_rl.nn.transformer import CausalTransformer


class FactoredPrior(PretrainedModel):
    """Predicts code blocks from all frames and past blocks in its context; frames are inputs, never targets."""

    config_class = FactoredConfig
    compiled_parts = ("transformer",)

    def __init__(self, config: FactoredConfig) -> None:
        super().__init__()
        patch_count(frame_size(config), config.patch, "factored prior")
        self.config = config
        width = config.width
        self.stem = ConvStem(config.channels, width, config.patch)
        self.frame_position = nn.Parameter(torch.randn(config.patches, width) * 0.02)
        # the last one is the null, which fills the slots after a prefix
        self.code_embed = nn.Embedding(config.codes + 1, config.code_width)
        self.block_embed = nn.Linear(config.slots * config.code_width, width)
        self.transformer = CausalTransformer(width, config.depth, config.heads, config.ffn, config.norm_eps)
        self.head = CodeHead(
            width, config.codes, config.slots, config.code_width, config.head_width, config.norm_eps
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
                if isinstance(module, nn.Linear) and module.bias is not None:
                    nn.init.zeros_(module.bias)
        # a block's token is a sum over all slots; embedded as small as a weight, one code would hardly be told from
        # another
        nn.init.normal_(self.code_embed.weight, std=1.0)
        self.head.reset()

    def embed_frames(self, frames: Tensor) -> Tensor:
        """Frames (..., C, H, W) to tokens (..., N, D)."""
        lead = frames.shape[:-3]
        tokens = self.stem(to_unit(frames.flatten(0, -4))) + self.frame_position
        return tokens.view(*lead, *tokens.shape[1:])

    def embed_blocks(self, codes: Tensor, kept: Tensor | None = None) -> Tensor:
        """Blocks (..., m), m <= M, to one token each, (..., D).

        Args:
            codes: Their first codes; the slots behind are null.
            kept: int (...): how many of them count, None for all.
        """
        config = self.config
        codes = F.pad(codes, (0, config.slots - codes.shape[-1]), value=config.codes)
        if kept is not None:
            codes = torch.where(retained(kept, config.slots), codes, config.codes)
        return self.block_embed(self.code_embed(codes).flatten(-2))

    def forward(
        self,
        frames: Tensor,
        codes: Tensor,
        phase: int = 0,
        predicted: int | None = None,
        dropped: Dropped | None = None,
        kept: Tensor | None = None,
    ) -> Tensor:
        """Logits for every code of every block, each from exactly the context its decision will have.

        Args:
            frames: (B, T, C, H, W).
            codes: int64 (B, T, M).
            phase: Not used: there is no stride.
            predicted: How many codes of each block, from the first, are to be predicted; None for all.
            dropped: What later decisions do not see.
            kept: int (B, T): the prefix of each past block that is seen, None for whole blocks.

        Returns:
            (B, T, predicted, V).
        """
        config = self.config
        b, t, n = *frames.shape[:2], config.patches
        tokens = torch.cat([self.embed_frames(frames), self.embed_blocks(codes, kept)[:, :, None]], dim=2)
        x = tokens.flatten(1, 2)[:, :-1]  # the last block is seen by nothing
        mask = causal_mask(t, n, config.frames, str(x.device))
        if dropped is not None:
            mask = mask & ~_unseen(t, n, dropped).to(x.device)
        cos, sin = rotary(torch.arange(x.shape[1], device=x.device), config.width // config.heads, config.rope_theta)
        hidden = self.transformer(x, cos, sin, mask)
        predicted = predicted or config.slots
        before = self.code_embed(codes[..., : predicted - 1]).flatten(0, 1)
        logits = self.head(hidden[:, n - 1 :: n + 1].flatten(0, 1), before, predicted)
        return logits.view(b, t, predicted, config.codes)

    def loss(
        self,
        frames: Tensor,
        codes: Tensor,
        phase: int = 0,
        predicted: int | None = None,
        dropped: Dropped | None = None,
        kept: Tensor | None = None,
    ) -> Tensor:
        """Cross-entropy (B, T, M), or (B, T, predicted), of `forward`'s logits.

        `frames` may hold one frame more than `codes` has blocks; the last one is then unused.
        """
        logits = self(frames[:, : codes.shape[1]], codes, phase, predicted, dropped, kept)
        return code_losses(logits, codes[..., :predicted])


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
