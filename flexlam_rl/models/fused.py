"""A transformer layer as decoding runs it: the same weights in few large products. One token at a time, calls cost more than arithmetic.

Shapes: B rows, L tokens, D width, hd numbers a head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.models.sequence import DecoderLayer, rotate


class FusedLayer:
    """Queries, keys and values in one product, gate and up in another. Holds copies: weights that change later are not seen."""

    def __init__(self, layer: DecoderLayer) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.heads, self.head_dim = attention.heads, attention.head_dim
        self.before_attention, self.before_mlp = layer.input_layernorm, layer.post_attention_layernorm
        self.qkv = torch.cat([part.weight.detach() for part in (attention.q_proj, attention.k_proj, attention.v_proj)])
        self.scale = torch.stack([attention.q_norm.weight.detach(), attention.k_norm.weight.detach()])[:, None, None, None]
        self.eps = attention.q_norm.eps
        self.out, self.down = attention.o_proj, mlp.down_proj
        self.gate_up = torch.cat([mlp.gate_proj.weight.detach(), mlp.up_proj.weight.detach()])

    def project(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values (B, heads, L, hd) of x (B, L, D), as `SelfAttention.project` gives them after the first norm."""
        b, n, _ = x.shape
        parts = F.linear(self.before_attention(x), self.qkv).view(b, n, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4)
        both = F.rms_norm(parts[:2].float(), (self.head_dim,), None, self.eps).to(x.dtype) * self.scale
        query, key = rotate(both, cos, sin)
        return query, key, parts[2]

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """The layer's output (B, L, D) from its input x and what its queries attended to, (B, heads, L, hd)."""
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        gate, up = F.linear(self.before_mlp(x), self.gate_up).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)
