"""GPT layers, whose norms may depend on a condition and which may attend to a memory. They run on whole sequences, or
step by step with a cache, through the same code.

Shapes: B rows, L tokens, D width, C numbers of the condition, S tokens of the memory, hd numbers per head.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.nn.kv_cache import KVCache
from flexlam_rl.nn.param_groups import HiddenLayer
from flexlam_rl.nn.transformer import MLP

Pair = tuple[Tensor, Tensor]
"""Keys and values, (B, heads, S, hd) each."""


class ConditionalNorm(nn.Module):
    """LayerNorm whose gain and bias are affine functions of a condition (VideoGPT, section 2.3), at first independent
    of it.

    Args:
        width: D.
        condition: C; 0 for a plain LayerNorm.
    """

    def __init__(self, width: int, condition: int = 0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.affine = nn.Linear(condition, 2 * width) if condition else None
        if self.affine is not None:
            nn.init.zeros_(self.affine.weight)
            nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Normalize x (B, L, D), under a condition (B, L, C) if the norm has one."""
        x = self.norm(x)
        if self.affine is None:
            return x
        assert condition is not None, "this norm needs its condition"
        gain, bias = self.affine(condition).chunk(2, dim=-1)
        return x * (1 + gain) + bias


def dropout(x: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Drop a share of the numbers, drawn from `generator`; nothing is dropped if it is None."""
    if generator is None or not share:
        return x
    kept = torch.rand(x.shape, generator=generator, device=x.device) >= share
    return x * kept / (1.0 - share)


class GPTLayer(HiddenLayer):
    """Self-attention, attention to a memory (optional) and feed-forward, each after a norm and with a residual.

    Args:
        width: D.
        heads: Heads of every attention.
        hidden: Width of the feed-forward.
        share: Share of numbers that are dropped after each part in training.
        condition: C, the size of the norms' condition.
        memory: Whether the layer attends to a memory.
    """

    def __init__(self, width: int, heads: int, hidden: int, share: float, condition: int, memory: bool) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}.")
        self.heads, self.share = heads, share
        self.norm1, self.qkv, self.out = ConditionalNorm(width, condition), nn.Linear(width, 3 * width), _linear(width)
        self.norm2, self.mlp = ConditionalNorm(width, condition), MLP(width, hidden)
        if memory:
            self.norm_memory, self.query, self.out_memory = ConditionalNorm(width), _linear(width), _linear(width)
            self.key_value = nn.Linear(width, 2 * width)

    def remember(self, memory: Tensor) -> Pair:
        """Compute the keys and values of a memory (B, S, D)."""
        key, value = self.key_value(memory).chunk(2, dim=-1)
        return self._heads(key), self._heads(value)

    def forward(
        self,
        x: Tensor,
        mask: Tensor,
        condition: Tensor | None = None,
        memory: Pair | None = None,
        past: Pair | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Run the layer on tokens.

        Args:
            x: (B, L, D).
            mask: bool (L, seen), which tokens each token sees, those of the past first.
            condition: (B, L, C).
            memory: Result of `remember`.
            past: Buffers (B, heads, seen, hd) with keys and values of the past; those of x are written at their end.
            generator: Random stream of the dropout; None for no dropout.
        """
        query, key, value = (self._heads(part) for part in self.qkv(self.norm1(x, condition)).chunk(3, dim=-1))
        if past is not None:
            for place, fresh in zip(past, (key, value), strict=True):
                place[:, :, -x.shape[1] :] = fresh
            key, value = past
        x = x + dropout(self.out(_joined(query, key, value, mask)), self.share, generator)
        if memory is not None:
            query = self._heads(self.query(self.norm_memory(x, None)))
            x = x + dropout(self.out_memory(_joined(query, *memory, None)), self.share, generator)
        return x + dropout(self.mlp(self.norm2(x, condition)), self.share, generator)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class GPT(nn.Module):
    """A stack of layers and a final norm, over embeddings that already include their positions.

    Args:
        width: D.
        depth: Number of layers.
        heads, hidden, share, condition, memory: Options of each layer.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        hidden: int,
        share: float = 0.0,
        condition: int = 0,
        memory: bool = False,
    ) -> None:
        super().__init__()
        self.width, self.heads = width, heads
        self.layers = nn.ModuleList(GPTLayer(width, heads, hidden, share, condition, memory) for _ in range(depth))
        self.norm = ConditionalNorm(width, condition)

    def remember(self, memory: Tensor) -> list[Pair]:
        """Compute each layer's keys and values of a memory (B, S, D)."""
        return [layer.remember(memory) for layer in self._layers()]

    def forward(
        self,
        x: Tensor,
        masks: Sequence[Tensor],
        condition: Tensor | None = None,
        memory: Sequence[Pair] | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Compute hidden states (B, L, D).

        Args:
            x: Embeddings (B, L, D).
            masks: bool (L, L) masks; layers use them in turn if there are fewer masks than layers.
            condition: (B, L, C).
            memory: Result of `remember`.
            generator: Random stream of the dropout; None for no dropout.
        """
        for i, layer in enumerate(self._layers()):
            kept = None if memory is None else memory[i]
            x = layer(x, masks[i % len(masks)], condition, kept, generator=generator)
        return self.norm(x, condition)

    def empty(self, rows: int, size: int) -> KVCache:
        """Make a cache of `size` tokens for `rows` rows, on the weights' device."""
        weight = self.norm.norm.weight
        shape = (len(self.layers), rows, self.heads, size, self.width // self.heads)
        return KVCache(*(torch.zeros(shape, dtype=weight.dtype, device=weight.device) for _ in range(2)))

    def advance(
        self,
        cache: KVCache,
        x: Tensor,
        start: int,
        masks: Sequence[Tensor],
        condition: Tensor | None = None,
        memory: Sequence[Pair] | None = None,
    ) -> Tensor:
        """Run the next tokens of a sequence whose first `start` tokens are in the cache, which is changed in place.

        Args:
            cache: Result of `empty`.
            x: Embeddings (B, L, D) of tokens `start` to `start + L`.
            start: Number of tokens in the cache.
            masks: As for `forward`, for the whole sequence.
            condition: (B, L, C).
            memory: As for `forward`.

        Raises:
            ValueError: The cache is too small.
        """
        end, size = start + x.shape[1], cache.keys.shape[3]
        if end > size:
            raise ValueError(f"The cache holds {size} tokens; {end} are given.")
        for i, layer in enumerate(self._layers()):
            past = (cache.keys[i, :, :, :end], cache.values[i, :, :, :end])
            kept = None if memory is None else memory[i]
            x = layer(x, masks[i % len(masks)][start:end, :end], condition, kept, past)
        return self.norm(x, condition)

    def _layers(self) -> list[GPTLayer]:
        return [layer for layer in self.layers if isinstance(layer, GPTLayer)]


def _linear(width: int) -> nn.Linear:
    return nn.Linear(width, width)


def _joined(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Compute attention and join the heads, (B, L, D)."""
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2).flatten(2)
