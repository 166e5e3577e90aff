"""Codes of a block one after another behind a few tokens: a small causal transformer over these and the block's codes.

It stands behind a transformer that has seen everything else, so that a code costs a pass of this one, over few tokens.
Shapes: B rows, N tokens before the codes, K codes of a block, V codes, D width.
"""

import torch
from torch import Tensor, nn

from flexlam_rl.nn.rotary import rotary
from flexlam_rl.nn.transformer import CausalTransformer


class CodeHead(nn.Module):
    """Logits of each code of a block from the tokens before the block and the codes before it.

    Args:
        width: D.
        codes: V.
        slots: M, the most codes of a block.
        depth: Layers of its transformer.
        heads: Of each attention.
        hidden: Width of each feed-forward.
        norm_eps: Of every norm.
        rope_theta: Base of the rotary positions, which count its tokens.
    """

    def __init__(
        self,
        width: int,
        codes: int,
        slots: int,
        depth: int,
        heads: int,
        hidden: int,
        norm_eps: float = 1e-6,
        rope_theta: float = 10_000.0,
    ) -> None:
        super().__init__()
        self.heads, self.rope_theta = heads, rope_theta
        self.code_embed = nn.Embedding(codes, width)
        # rotary positions tell order and distance; which slot a code fills is told here
        self.slot = nn.Parameter(torch.randn(slots, width) * 0.02)
        self.transformer = CausalTransformer(width, depth, heads, hidden, norm_eps)
        self.logits = nn.Linear(width, codes, bias=False)

    def embed(self, codes: Tensor, first: int = 0) -> Tensor:
        """Codes (B, k) that fill the slots from `first` on, as tokens (B, k, D)."""
        return self.code_embed(codes) + self.slot[first : first + codes.shape[-1]]

    def forward(self, tokens: Tensor, codes: Tensor, predicted: int) -> tuple[Tensor, Tensor]:
        """Run whole blocks at once; arguments as for `states`.

        Returns:
            The states (B, D) that the first codes are predicted from, and logits (B, predicted, V).
        """
        states = self.states(tokens, codes, predicted)
        return states[:, 0], self.logits(states)

    def states(self, tokens: Tensor, codes: Tensor, predicted: int) -> Tensor:
        """States that the codes of whole blocks are predicted from.

        Args:
            tokens: (B, N, D).
            codes: int64 (B, predicted - 1), or more, of which the rest is not used.
            predicted: How many codes to predict, from the first.

        Returns:
            (B, predicted, D).
        """
        # the last code that is predicted predicts nothing
        x = torch.cat([tokens, self.embed(codes[:, : predicted - 1])], dim=1)
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
        return self.transformer(x, *self.rotary(x.shape[1]), mask)[:, tokens.shape[1] - 1 :]

    def rotary(self, length: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines (length, hd) of the positions of its tokens."""
        positions = torch.arange(length, device=self.slot.device)
        return rotary(positions, self.slot.shape[-1] // self.heads, self.rope_theta)
