"""A small causal transformer over a few tokens and a block's codes, which predicts the codes one after another.

It follows a transformer that has seen everything else, so each code costs only a pass of the small one over few tokens.
Shapes: B rows, N tokens before the codes, K codes of a block, V codes, D width.
"""

import torch
from torch import Tensor, nn

from flexlam_rl.nn.rotary import rotary
from flexlam_rl.nn.transformer import CausalTransformer


class CodeHead(nn.Module):
    """Predicts logits of each code of a block from the tokens before the block and the codes before it.

    Args:
        width: D.
        codes: V.
        slots: M, the largest number of codes in a block.
        depth: Number of layers.
        heads: Heads of each attention.
        hidden: Width of each feed-forward.
        norm_eps: Epsilon of every norm.
        rope_theta: Base of the rotary positions, which count this transformer's tokens.
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
        # rotary positions give order and distance; this tells which slot a code fills
        self.slot = nn.Parameter(torch.randn(slots, width) * 0.02)
        self.transformer = CausalTransformer(width, depth, heads, hidden, norm_eps)
        self.logits = nn.Linear(width, codes, bias=False)

    def embed(self, codes: Tensor, first: int = 0) -> Tensor:
        """Embed codes (B, k) that fill the slots from `first` on, as tokens (B, k, D)."""
        return self.code_embed(codes) + self.slot[first : first + codes.shape[-1]]

    def forward(self, tokens: Tensor, codes: Tensor, predicted: int) -> tuple[Tensor, Tensor]:
        """Run whole blocks at once; arguments as for `states`.

        Returns:
            The states (B, D) from which the first codes are predicted, and logits (B, predicted, V).
        """
        states = self.states(tokens, codes, predicted)
        return states[:, 0], self.logits(states)

    def states(self, tokens: Tensor, codes: Tensor, predicted: int) -> Tensor:
        """Compute the states from which the codes of whole blocks are predicted.

        Args:
            tokens: (B, N, D).
            codes: int64 (B, predicted - 1); codes beyond these are not used.
            predicted: Number of codes to predict, from the first.

        Returns:
            (B, predicted, D).
        """
        # the last predicted code predicts nothing itself
        x = torch.cat([tokens, self.embed(codes[:, : predicted - 1])], dim=1)
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
        return self.transformer(x, *self.rotary(x.shape[1]), mask)[:, tokens.shape[1] - 1 :]

    def rotary(self, length: int) -> tuple[Tensor, Tensor]:
        """Compute cosines and sines (length, hd) of its tokens' positions."""
        positions = torch.arange(length, device=self.slot.device)
        return rotary(positions, self.slot.shape[-1] // self.heads, self.rope_theta)
