"""Diffusion transformer (Peebles and Xie, 2022): blocks that are modulated by a condition.

Shapes: B batch, L tokens, D width.
"""

import math

import torch
from torch import Tensor, nn

from flexlam_rl.nn.attention import Attention
from flexlam_rl.nn.param_groups import HiddenLayer
from flexlam_rl.nn.transformer import MLP

FREQUENCIES = 32


class ModulatedBlock(HiddenLayer):
    """DiT block: scale, shift and gate of both branches come from a condition, with gates at 0 first (adaLN-Zero)."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width, elementwise_affine=False), Attention(width, heads)
        self.norm2, self.mlp = nn.LayerNorm(width, elementwise_affine=False), MLP(width, hidden)
        self.modulation = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Run x (B, L, D) under a condition (B, D), to which the activation is already applied."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(condition).unsqueeze(1).chunk(6, dim=-1)
        x = x + gate1 * self.attention(self.norm1(x) * (1 + scale1) + shift1)
        return x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)


def time_features(tau: Tensor) -> Tensor:
    """Compute sines and cosines (B, 2 * FREQUENCIES) of times tau (B,) in [0, 1]."""
    last = FREQUENCIES - 1
    places = torch.arange(FREQUENCIES, device=tau.device, dtype=torch.float32)
    angles = tau.float()[:, None] * 1000.0 * torch.exp(places * (-math.log(1000.0) / last))
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
