"""Attention of all tokens to all, or under a mask that is given as a whole, by spans or by blocks.

Shapes: B batch, L tokens, D width, hd numbers per head.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.nn.rms_norm import RMSNorm
from flexlam_rl.nn.rotary import rotate


class Span(NamedTuple):
    """Consecutive frames whose tokens attend in one call, to all that any of them sees.

    Most of a window's mask is false, because branches do not see one another. Attention by spans leaves most of that
    out.
    """

    history: int
    """Number of history tokens of these frames; those of all spans follow each other."""
    branches: int
    """Number of tokens of their branches; those of all spans follow each other, after all history tokens."""
    first: int
    """Index of the first span whose history these frames see; they see all spans from there to their own."""
    mask: Tensor
    """bool (rows, columns): rows are the span's history and branches, columns are the history it sees and its
    branches.
    """


class Blocks(NamedTuple):
    """Consecutive blocks with equal numbers of tokens; a token sees its own block and those before it."""

    size: int
    """Tokens per block; L is a multiple of it."""


Mask = Tensor | tuple[Span, ...] | Blocks
"""Which token attends to which: a bool matrix (L, L), spans that describe it in parts, or blocks."""


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Mask) -> Tensor:
    """Compute attention for q, k, v (B, heads, L, hd)."""
    if q.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        # the backward pass of torch's attention takes two to sixteen times as long in bf16 as in float32
        with torch.autocast("cpu", enabled=False):
            return attend(q.float(), k.float(), v.float(), mask)
    if isinstance(mask, Tensor):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return _by_blocks(q, k, v, mask.size) if isinstance(mask, Blocks) else _by_spans(q, k, v, mask)


def _by_blocks(q: Tensor, k: Tensor, v: Tensor, size: int) -> Tensor:
    # no mask is needed, which saves its memory: each block sees a contiguous beginning of the keys
    found = []
    for i, query in enumerate(q.split(size, dim=2)):
        end = (i + 1) * size
        found.append(F.scaled_dot_product_attention(query, k[:, :, :end], v[:, :, :end]))
    return torch.cat(found, dim=2)


def _by_spans(q: Tensor, k: Tensor, v: Tensor, spans: tuple[Span, ...]) -> Tensor:
    count = len(spans)
    # parts of one split, because the gradient of each separate slice would have the size of the whole
    lengths = [span.history for span in spans] + [span.branches for span in spans]
    queries, keys, values = (x.split(lengths, dim=2) for x in (q, k, v))
    history, branches = [], []
    for i, span in enumerate(spans):
        query = torch.cat([queries[i], queries[count + i]], dim=2)
        key, value = (torch.cat([*parts[span.first : i + 1], parts[count + i]], dim=2) for parts in (keys, values))
        own, branch = F.scaled_dot_product_attention(query, key, value, attn_mask=span.mask).split(
            [span.history, span.branches], dim=2
        )
        history.append(own)
        branches.append(branch)
    return torch.cat(history + branches, dim=2)


class Attention(nn.Module):
    """Full multi-head self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        _head_dim(width, heads)
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, first: int | None = None) -> Tensor:
        """Let tokens attend to all tokens of x (B, L, D): all of them, or only the first ones, (B, `first`, D)."""
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        q = q[:, :, :first]
        n = q.shape[2]
        if q.dtype == torch.bfloat16 and q.device.type == "cpu":
            # on CPUs, torch's fused attention in bfloat16 does not use the matrix units: its backward pass took half of
            # a training step
            weights = (q @ k.transpose(-1, -2) * (d // self.heads) ** -0.5).softmax(-1)
            return self.out((weights @ v).transpose(1, 2).reshape(b, n, d))
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d))


class RotaryAttention(nn.Module):
    """Masked self-attention with normed queries and keys and rotary positions (Qwen3)."""

    def __init__(self, width: int, heads: int, norm_eps: float) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, _head_dim(width, heads)
        self.q_proj, self.k_proj = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.v_proj, self.o_proj = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.q_norm, self.k_norm = RMSNorm(self.head_dim, norm_eps), RMSNorm(self.head_dim, norm_eps)

    def project(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute queries, keys and values (B, heads, L, hd) of x (B, L, D), with rotated queries and keys."""
        b, n, _ = x.shape
        q = self.q_norm(self.q_proj(x).view(b, n, self.heads, self.head_dim)).transpose(1, 2)
        k = self.k_norm(self.k_proj(x).view(b, n, self.heads, self.head_dim)).transpose(1, 2)
        v = self.v_proj(x).view(b, n, self.heads, self.head_dim).transpose(1, 2)
        return rotate(q, cos, sin), rotate(k, cos, sin), v

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Mask) -> Tensor:
        """Let tokens x (B, L, D), at rotary positions `cos` and `sin`, attend under a mask: (B, L, D)."""
        q, k, v = self.project(x, cos, sin)
        return self.o_proj(attend(q, k, v, mask).transpose(1, 2).flatten(2))


def _head_dim(width: int, heads: int) -> int:
    if width % heads:
        raise ValueError(f"width {width} is not a multiple of heads {heads}.")
    return width // heads
