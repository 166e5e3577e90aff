"""The latent-token sequence model: a Qwen3-style decoder over frame patches and code blocks (paper, section 4.3 and
appendix B).

The transformer's weights carry the names of `transformers`' Qwen3Model, so either can load the other's.
Shapes: B batch, T frames, M codes a block, N patches a frame, L tokens, D width, V codes, C H W frame.
"""

from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.flexlam.config import SequenceConfig
from flexlam_rl.models.flexlam.layout import Span, layout
from flexlam_rl.nn.blocks import patchify, to_unit
from flexlam_rl.nn.conv_stem import ConvStem
from flexlam_rl.nn.pretrained import PretrainedModel

Mask = Tensor | tuple[Span, ...]
"""Which token attends to which: a bool matrix (L, L), or the same in parts."""


class RMSNorm(nn.Module):
    """Root-mean-square norm, computed in float32 as Qwen3 does."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), self.weight.shape, None, self.eps).to(x.dtype) * self.weight


def rotary(positions: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines (..., L, head_dim) at integer `positions` (..., L).

    Angles are formed in float64: positions grow with an episode, and rounding would make far episodes differ from near
        ones.
    """
    inverse = theta ** (-torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float64) / head_dim)
    angles = positions.double()[..., None] * inverse
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos().float(), angles.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply rotary positions to (..., L, head_dim)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos.to(x.dtype) + torch.cat([-second, first], dim=-1) * sin.to(x.dtype)


class SelfAttention(nn.Module):
    """Attention with normed queries and keys and rotary positions (Qwen3)."""

    def __init__(self, config: SequenceConfig) -> None:
        super().__init__()
        if config.width % config.heads:
            raise ValueError(f"width {config.width} is not a multiple of heads {config.heads}.")
        self.heads, self.head_dim = config.heads, config.width // config.heads
        self.q_proj, self.k_proj = (
            nn.Linear(config.width, config.width, bias=False),
            nn.Linear(config.width, config.width, bias=False),
        )
        self.v_proj, self.o_proj = (
            nn.Linear(config.width, config.width, bias=False),
            nn.Linear(config.width, config.width, bias=False),
        )
        self.q_norm, self.k_norm = RMSNorm(self.head_dim, config.norm_eps), RMSNorm(self.head_dim, config.norm_eps)

    def project(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values (B, heads, L, head_dim) of x (B, L, D), rotated."""
        b, n, _ = x.shape
        q = self.q_norm(self.q_proj(x).view(b, n, self.heads, self.head_dim)).transpose(1, 2)
        k = self.k_norm(self.k_proj(x).view(b, n, self.heads, self.head_dim)).transpose(1, 2)
        v = self.v_proj(x).view(b, n, self.heads, self.head_dim).transpose(1, 2)
        return rotate(q, cos, sin), rotate(k, cos, sin), v

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Mask) -> Tensor:
        q, k, v = self.project(x, cos, sin)
        out = (
            F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
            if isinstance(mask, Tensor)
            else _by_spans(q, k, v, mask)
        )
        return self.o_proj(out.transpose(1, 2).flatten(2))


def _by_spans(q: Tensor, k: Tensor, v: Tensor, spans: tuple[Span, ...]) -> Tensor:
    """Attention of q, k, v (B, heads, L, head_dim), a span of frames at a time."""
    if q.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        # torch's attention has a backward pass in bf16 that takes twice as long as the one in float32
        with torch.autocast("cpu", enabled=False):
            return _by_spans(q.float(), k.float(), v.float(), spans)
    count = len(spans)
    # parts of one split, for each slice taken alone would get a gradient of the whole's size
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


class GatedMLP(nn.Module):
    """SwiGLU feed-forward."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(width, hidden, bias=False), nn.Linear(width, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class DecoderLayer(nn.Module):
    """Attention and feed-forward, each after a norm and with a residual."""

    def __init__(self, config: SequenceConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.width, config.norm_eps)
        self.self_attn = SelfAttention(config)
        self.post_attention_layernorm = RMSNorm(config.width, config.norm_eps)
        self.mlp = GatedMLP(config.width, config.ffn)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Mask) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class Transformer(nn.Module):
    """The stack of layers and the last norm, over embeddings."""

    def __init__(self, config: SequenceConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.depth))
        self.norm = RMSNorm(config.width, config.norm_eps)

    def stack(self) -> Iterator[DecoderLayer]:
        """The layers, in order."""
        return cast(Iterator[DecoderLayer], iter(self.layers))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Mask) -> Tensor:
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return self.norm(x)


class SequenceModel(PretrainedModel):
    """Predicts code blocks from sparse frames and past blocks; frames are inputs, never targets."""

    config_class = SequenceConfig
    heavy = ("transformer",)

    def __init__(self, config: SequenceConfig) -> None:
        super().__init__()
        if config.image_size % config.patch:
            raise ValueError(
                f"image size {config.image_size} is not a multiple of the sequence model's patch {config.patch}."
            )
        self.config = config
        width = config.width
        self.patch_embed: nn.Module = (
            nn.Linear(config.channels * config.patch**2, width)
            if config.stem == "linear"
            else ConvStem(config.channels, width, config.patch)
        )
        self.patch_position = nn.Parameter(torch.randn(config.patches, width) * 0.02)
        self.code_embed = nn.Embedding(config.codes, width)
        # rotary positions tell order and distance; which slot a code fills is told here
        self.slot_position = nn.Parameter(torch.randn(config.slots, width) * 0.02)
        self.transformer = Transformer(config)
        self.head = nn.Linear(width, config.codes, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
                if isinstance(module, nn.Linear) and module.bias is not None:
                    nn.init.zeros_(module.bias)

    def embed_frames(self, frames: Tensor) -> Tensor:
        """Frames (..., C, H, W) to patch embeddings (..., N, D)."""
        lead = frames.shape[:-3]
        images = to_unit(frames.flatten(0, -4))
        tokens = (
            self.patch_embed(patchify(images, self.config.patch) if self.config.stem == "linear" else images)
            + self.patch_position
        )
        return tokens.view(*lead, *tokens.shape[1:])

    def embed_codes(self, codes: Tensor, first: int = 0) -> Tensor:
        """Codes (..., m) that fill the slots from `first` on, to embeddings (..., m, D)."""
        return self.code_embed(codes) + self.slot_position[first : first + codes.shape[-1]]

    def tokens(
        self, frames: Tensor, codes: Tensor, phase: int = 0, predicted: int | None = None
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Span, ...], Tensor]:
        """The window as the transformer takes it.

        Args:
            frames: (B, T, C, H, W).
            codes: int64 (B, T, M).
            phase: Steps from the last stride frame to the window's first frame.
            predicted: How many codes of each block, from the first, are to be predicted; None for all.

        Returns:
            Embeddings (B, L, D), cosines and sines (L, head_dim), the mask by spans, and which token predicts which
            code, (T, predicted).
        """
        config = self.config
        phase, device = phase % config.stride, str(frames.device)
        lay = layout(
            frames.shape[1], config.slots, config.patches, config.stride, config.frames, phase, device, predicted
        )
        embedded = torch.cat([self.embed_frames(frames).flatten(1, 2), self.embed_codes(codes).flatten(1, 2)], dim=1)
        x = embedded[:, lay.source]
        cos, sin = rotary(lay.position, config.width // config.heads, config.rope_theta)
        return x, cos, sin, lay.spans, lay.predicts

    def forward(self, frames: Tensor, codes: Tensor, phase: int = 0, predicted: int | None = None) -> Tensor:
        """Logits (B, T, M, V) for every code of every block, each from exactly the context its decision will have.

        With `predicted`, (B, T, predicted, V) for the first codes of every block alone, which costs less.
        """
        x, cos, sin, mask, predicts = self.tokens(frames, codes, phase, predicted)
        x = self.transformer(x, cos, sin, mask)
        return self.head(x[:, predicts])

    def loss(self, frames: Tensor, codes: Tensor, phase: int = 0, predicted: int | None = None) -> Tensor:
        """Cross-entropy (B, T, M) of complete code blocks (paper, appendix B.2), or (B, T, predicted) of their first
        codes.

        `frames` may hold one frame more than `codes` has blocks; the last one is then unused.
        """
        logits = self(frames[:, : codes.shape[1]], codes, phase, predicted)
        targets = codes[..., :predicted]
        return F.cross_entropy(logits.float().flatten(0, 2), targets.flatten(), reduction="none").view(targets.shape)
