"""Forward model: what follows from a current state and the slots, without noise.

Shapes: B batch, N tokens of a state, D width, M slots, d numbers per slot.
"""

import torch
from torch import Tensor, nn

from flexlam_rl.models.baselines.config import ForwardConfig
from flexlam_rl.nn.transformer import Block


class ForwardModel(nn.Module):
    """Transformer over the tokens of a state and the slots; it gives the change of each token.

    Its head starts at zero: an untrained model predicts that nothing changes.

    Args:
        config: Sizes.
        tokens: N.
        numbers: Of each token, which go in and come out.
        slots: M.
        slot_dim: d.
    """

    def __init__(self, config: ForwardConfig, tokens: int, numbers: int, slots: int, slot_dim: int) -> None:
        super().__init__()
        self.embed = nn.Linear(numbers, config.width)
        self.position = nn.Parameter(torch.randn(tokens, config.width) * 0.02)
        self.slot_embed = nn.Linear(slot_dim, config.width)
        self.slot_position = nn.Parameter(torch.randn(slots, config.width) * 0.02)
        self.blocks = nn.ModuleList(Block(config.width, config.heads, config.ffn) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, numbers)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, state: Tensor, slots: Tensor) -> Tensor:
        """State (B, N, numbers) and null-filled slots (B, M, d) to the state that follows, (B, N, numbers)."""
        x = torch.cat([self.embed(state) + self.position, self.slot_embed(slots) + self.slot_position], dim=1)
        for block in self.blocks:
            x = block(x)
        return state + self.head(self.norm(x[:, : state.shape[1]]))
