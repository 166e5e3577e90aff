"""Transformer blocks with full attention, and a causal transformer like Qwen3's.

The causal transformer's weights have the names of `transformers`' Qwen3Model, so each can load the other's weights.
`nn.kv_cache` runs it step by step. Shapes: B batch, L tokens, D width.
"""

from collections.abc import Iterator
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.nn.attention import Attention, Mask, RotaryAttention
from flexlam_rl.nn.param_groups import HiddenLayer
from flexlam_rl.nn.rms_norm import RMSNorm


class MLP(nn.Sequential):
    """Two linear layers with GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(nn.Linear(width, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, width))


class Block(HiddenLayer):
    """Pre-norm transformer block."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2, self.mlp = nn.LayerNorm(width), MLP(width, hidden)

    def forward(self, x: Tensor, first: int | None = None) -> Tensor:
        """Run the block on tokens x (B, L, D): the tokens after it, (B, L, D), or only the first (B, `first`, D)."""
        x = x[:, :first] + self.attention(self.norm1(x), first)
        return x + self.mlp(self.norm2(x))


class GatedMLP(nn.Module):
    """SwiGLU feed-forward."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(width, hidden, bias=False), nn.Linear(width, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer on tokens x (B, L, D): (B, L, D)."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class CausalLayer(HiddenLayer):
    """Attention and feed-forward, each after a norm and with a residual."""

    def __init__(self, width: int, heads: int, hidden: int, norm_eps: float) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(width, norm_eps)
        self.self_attn = RotaryAttention(width, heads, norm_eps)
        self.post_attention_layernorm = RMSNorm(width, norm_eps)
        self.mlp = GatedMLP(width, hidden)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Mask) -> Tensor:
        """Run the layer on tokens x (B, L, D) at rotary positions `cos` and `sin`, under a mask: (B, L, D)."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class CausalTransformer(nn.Module):
    """A stack of layers and a final norm, over embeddings.

    Args:
        width: D.
        depth: Number of layers.
        heads: Heads of each attention.
        hidden: Width of each feed-forward.
        norm_eps: Epsilon of every norm.
    """

    def __init__(self, width: int, depth: int, heads: int, hidden: int, norm_eps: float = 1e-6) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CausalLayer(width, heads, hidden, norm_eps) for _ in range(depth))
        self.norm = RMSNorm(width, norm_eps)

    def stack(self) -> Iterator[CausalLayer]:
        """The layers, in order."""
        return cast(Iterator[CausalLayer], iter(self.layers))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Mask) -> Tensor:
        """Compute hidden states (B, L, D) of embeddings x (B, L, D) at rotary positions `cos` and `sin`, (L,
        hd) each.
        """
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return self.norm(x)
