"""A transformer layer for decoding: the same weights in a few large products, because with one token at a time, calls
cost more than arithmetic.

Shapes: B rows, L tokens, D width, hd numbers per head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.nn.rms_norm import RMSNorm
from flexlam_rl.nn.transformer import CausalLayer


class FusedLayer:
    """Layer with one product for queries, keys and values, one for gate and up, and the norms' weights merged into
    them.

    It holds copies of the weights; later changes of the layer are not seen.
    """

    def __init__(self, layer: CausalLayer) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.heads, self.head_dim = attention.heads, attention.head_dim
        self.eps = layer.input_layernorm.eps
        self.qkv = _after(
            layer.input_layernorm, attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight
        )
        self.gate_up = _after(layer.post_attention_layernorm, mlp.gate_proj.weight, mlp.up_proj.weight)
        self.scale = torch.stack([attention.q_norm.weight.detach(), attention.k_norm.weight.detach()])[
            :, None, None, None
        ]
        self.out, self.down = attention.o_proj.weight.detach().t(), mlp.down_proj.weight.detach().t()

    def turns(self, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the factors of `project` for rotary positions, cos and sin (B, 1, L, hd): two tensors (2, B, 1, L,
        hd), which include the norms' weights.

        With the halves (a, b) of a head, x * cos + (-b, a) * sin is x * first + (b, a) * second, if the first half of
        `second` is negated.
        """
        half = self.head_dim // 2
        cos, sin = cos.to(self.scale.dtype), sin.to(self.scale.dtype)
        swapped = self.scale.roll(half, -1) * sin
        return self.scale * cos, torch.cat([-swapped[..., :half], swapped[..., half:]], dim=-1)

    def project(self, x: Tensor, turns: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Compute queries, keys and values (B, heads, L, hd) of x (B, L, D), as `RotaryAttention.project` does after
        the first norm.
        """
        b, n, _ = x.shape
        parts = F.linear(_normed(x, self.eps), self.qkv).view(b, n, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4)
        both = _normed(parts[:2], self.eps)
        query, key = torch.addcmul(both * turns[0], both.roll(self.head_dim // 2, -1), turns[1]).unbind()
        return query, key, parts[2]

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Compute the layer's output (B, L, D) from its input x and the result of attention, (B, heads, L, hd)."""
        shape = x.shape
        x = torch.addmm(x.flatten(0, 1), attended.transpose(1, 2).reshape(-1, shape[-1]), self.out)
        gate, up = F.linear(_normed(x, self.eps), self.gate_up).chunk(2, dim=-1)
        return torch.addmm(x, F.silu(gate).mul_(up), self.down).view(shape)


def _after(norm: RMSNorm, *weights: Tensor) -> Tensor:
    """Merge a norm's weights into the concatenated `weights`, as one matrix for inputs that `norm` has not weighted."""
    return torch.cat([weight.detach() for weight in weights]) * norm.weight.detach()


def _normed(x: Tensor, eps: float) -> Tensor:
    return F.rms_norm(x.float(), x.shape[-1:], None, eps).to(x.dtype)
