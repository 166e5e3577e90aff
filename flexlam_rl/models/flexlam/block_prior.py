"""What the priors over codes share that see a past block as one token and predict the next one by a small head.

A subclass turns frames and past blocks into the tokens that the head (`nn.code_head`) sees at each decision.

Shapes: B batch, T frames, N tokens before the codes, M codes per block, D width, E numbers per embedded code, V codes,
C H W frame.
"""

from abc import abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.flexlam.dropping import Dropped
from flexlam_rl.nn.code_head import CodeHead
from flexlam_rl.nn.prefix import retained
from flexlam_rl.nn.sampling import code_losses


class BlockPrior(nn.Module):
    """Predicts code blocks from all frames and past blocks in its context."""

    config: Any

    def build_past(self) -> None:
        """Make the embedding of past blocks, which embeds each code and joins all slots in one token."""
        config = self.config
        # the last code is the null, which fills the slots after a prefix
        self.code_embed = nn.Embedding(config.codes + 1, config.code_width)
        self.block_embed = nn.Linear(config.slots * config.code_width, config.width)

    def build_head(self) -> None:
        """Make the head, which predicts codes one after another."""
        config = self.config
        self.head = CodeHead(
            config.width, config.codes, config.slots, config.head_depth, config.heads, config.ffn, config.norm_eps,
            config.rope_theta,
        )  # fmt: skip
        self.told = nn.Linear(self.memory, config.width, bias=False)

    @property
    def memory(self) -> int:
        """Width of what is known of the past at a decision."""
        return int(self.config.width)

    def begin(self) -> None:
        """Draw the weights that must not begin as small as all others."""
        # a block's token is a sum over all slots; with embeddings as small as the other weights, codes would hardly
        # differ
        nn.init.normal_(self.code_embed.weight, std=1.0)
        # the head begins as a model of the newest frame alone; the influence of the past grows in training
        nn.init.normal_(self.told.weight, std=0.02 * self.memory**-0.5)

    def embed_blocks(self, codes: Tensor, kept: Tensor | None = None) -> Tensor:
        """Embed blocks of codes (..., m), m <= M, as one token each, (..., D).

        Args:
            codes: First codes of the blocks; the remaining slots are null.
            kept: int (...), the number of codes that count; None for all.
        """
        config = self.config
        codes = F.pad(codes, (0, config.slots - codes.shape[-1]), value=config.codes)
        if kept is not None:
            codes = torch.where(retained(kept, config.slots), codes, config.codes)
        embedded: Tensor = self.block_embed(self.code_embed(codes).flatten(-2))
        return embedded

    def forward(
        self,
        frames: Tensor,
        codes: Tensor,
        phase: int = 0,
        predicted: int | None = None,
        dropped: Dropped | None = None,
        kept: Tensor | None = None,
    ) -> Tensor:
        """Logits for every code of every block, each predicted from exactly the context of its decision.

        Args:
            frames: (B, T, C, H, W).
            codes: int64 (B, T, M).
            phase: Not used, as there is no stride.
            predicted: Number of codes of each block that are predicted, from the first; None for all.
            dropped: Frames and blocks that later decisions do not see.
            kept: int (B, T), length of the prefix of each past block that is seen; None for whole blocks.

        Returns:
            (B, T, predicted, V).
        """
        return self._run(self._tokens(frames, codes, dropped, kept), codes, predicted or self.config.slots)[1]

    def decide(self, frames: Tensor, codes: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """States and logits of decisions whose chosen codes differ from those of the transitions that followed.

        Args:
            frames: (B, T, C, H, W).
            codes: int64 (B, T, M), codes of the transitions that followed, which later decisions see as their past.
            chosen: int64 (B, T, K), first codes that each decision chose.

        Returns:
            States (B, T, D), as the decoder's `observe` gives them, and logits (B, T, K, V) of the chosen codes.
        """
        return self._run(self._tokens(frames, codes, None, None), chosen, chosen.shape[-1])

    def code_states(self, frames: Tensor, codes: Tensor, phase: int = 0) -> tuple[Tensor, Tensor]:
        """States of every decision, as a decoder has them: before its first code, (B, T, D), and where each code is
        predicted, (B, T, M, D). Arguments are as for `forward`.
        """
        tokens = self._tokens(frames, codes, None, None).flatten(0, 1)
        states = self.head.states(tokens, codes.flatten(0, 1), self.config.slots).unflatten(0, codes.shape[:2])
        return states[:, :, 0], states

    def _run(self, tokens: Tensor, chosen: Tensor, predicted: int) -> tuple[Tensor, Tensor]:
        """States (B, T, D) of the head after `tokens` (B, T, N, D), and logits (B, T, predicted, V) of the blocks
        `chosen` (B, T, m), m at least predicted - 1.
        """
        b, t = tokens.shape[:2]
        states, logits = self.head(tokens.flatten(0, 1), chosen.flatten(0, 1), predicted)
        return states.view(b, t, -1), logits.unflatten(0, (b, t))

    @abstractmethod
    def _tokens(self, frames: Tensor, codes: Tensor, dropped: Dropped | None, kept: Tensor | None) -> Tensor:
        """Tokens that the head sees at each decision, (B, T, N, D)."""

    def loss(
        self,
        frames: Tensor,
        codes: Tensor,
        phase: int = 0,
        predicted: int | None = None,
        dropped: Dropped | None = None,
        kept: Tensor | None = None,
    ) -> Tensor:
        """Cross-entropy of `forward`'s logits, (B, T, M) or (B, T, predicted).

        `frames` may hold one frame more than `codes` has blocks; that frame is not used.
        """
        logits = self(frames[:, : codes.shape[1]], codes, phase, predicted, dropped, kept)
        return code_losses(logits, codes[..., :predicted])
