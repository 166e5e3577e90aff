"""The factored prior: time and codes apart.

The paper's sequence model runs every code through the whole transformer, so a decision of K codes costs K passes, and a
past block M tokens of context. Here a frame is one to four tokens, a past block one; the transformer runs once per
decision, and a small head (`nn.code_head`) predicts the block's codes one after another from its last state.

Shapes: B batch, T frames, M codes per block, D width, E numbers per embedded code, V codes, C H W frame.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.flexlam.dropping import Dropped
from flexlam_rl.models.flexlam.factored.config import FactoredConfig
from flexlam_rl.models.flexlam.factored.trunk import TimePrior
from flexlam_rl.nn.code_head import CodeHead
from flexlam_rl.nn.prefix import retained
from flexlam_rl.nn.sampling import code_losses


class FactoredPrior(TimePrior):
    """Predicts code blocks from all frames and past blocks in its context."""

    config_class = FactoredConfig

    def __init__(self, config: FactoredConfig) -> None:
        super().__init__(config)
        # a block's token is a sum over all slots; embedded as small as a weight, one code would hardly be told from
        # another
        nn.init.normal_(self.code_embed.weight, std=1.0)
        self.head.reset()

    def build_past(self) -> None:
        """Codes of all slots side by side, each embedded."""
        config = self.config
        # the last one is the null, which fills the slots after a prefix
        self.code_embed = nn.Embedding(config.codes + 1, config.code_width)
        self.block_embed = nn.Linear(config.slots * config.code_width, config.width)

    def build_head(self) -> None:
        """Codes one after another."""
        config = self.config
        self.head = CodeHead(
            config.width, config.codes, config.slots, config.code_width, config.head_width, config.norm_eps
        )

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
        states = self.states(frames, codes, dropped, kept).flatten(0, 1)
        predicted = predicted or config.slots
        before = self.code_embed(codes[..., : predicted - 1]).flatten(0, 1)
        logits = self.head(states, before, predicted)
        return logits.view(*frames.shape[:2], predicted, config.codes)

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
