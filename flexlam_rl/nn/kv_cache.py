"""A causal transformer that continues from its past, with a cache of keys and values.

The cache has a fixed number of entries. Entries are written where the caller says and never move: with rotary
positions, a cached key is valid in any place. A mask says which entries a token sees, so the same cache serves plain
sequences (`append`) and histories of many environments that each have their own clock (FlexLAM's decoder).

Shapes: B rows, L new tokens, S cache entries, D width, hd numbers per head.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.nn.fused import FusedLayer
from flexlam_rl.nn.rotary import rotary
from flexlam_rl.nn.transformer import CausalTransformer

FEW = 8
"""Largest number of new tokens for which keys are not copied."""
_ALL = slice(None)
Turns = tuple[Tensor, Tensor]
"""Factors that rotate a layer's queries and keys, (2, B, 1, L, hd) each."""


class KVCache(NamedTuple):
    """Keys and values, each (layers, B, heads, S, hd)."""

    keys: Tensor
    values: Tensor


class Keep(NamedTuple):
    """Tokens whose keys and values are stored after attention, in some rows, with entries of its own for each row.

    Attributes:
        rows: int64 (R,), the rows.
        tokens: Slice of n of the L new tokens.
        entries: int64 (R, n), the entries in each row.
    """

    rows: Tensor
    tokens: slice
    entries: Tensor


class CachedTransformer:
    """Runs a transformer on new tokens. It holds no state; methods change the given cache in place.

    Args:
        transformer: The transformer, with its current weights; later changes of the weights are not seen.
        heads: Heads of each attention.
        cache: Type of the cached keys and values, in which attention is also computed.
    """

    def __init__(self, transformer: CausalTransformer, heads: int, cache: torch.dtype) -> None:
        self.layers = [FusedLayer(layer) for layer in transformer.stack()]
        self.norm, self.dtype, self.heads = transformer.norm, cache, heads
        self.width = len(transformer.norm.weight)

    @property
    def head_dim(self) -> int:
        """hd, the numbers per head."""
        return self.width // self.heads

    def empty(self, rows: int, size: int) -> KVCache:
        """Make a cache of `size` entries for `rows` rows, on the weights' device."""
        device = self.norm.weight.device
        shape = (len(self.layers), rows, self.heads, size, self.head_dim)
        values = torch.zeros(shape, device=device, dtype=self.dtype)
        if device.type != "cpu" or self.dtype == torch.bfloat16:
            # torch's own attention reads one row per entry, and sums bfloat16 in float32
            return KVCache(torch.zeros_like(values), values)
        # keys have the same shape but lie in memory with one column per entry, which is how `_attend` reads them
        return KVCache(torch.zeros(*shape[:-2], shape[-1], shape[-2], dtype=self.dtype).transpose(-1, -2), values)

    def turns(self, cos: Tensor, sin: Tensor) -> list[Turns]:
        """Compute each layer's factors for rotary positions, cos and sin (B, 1, L, hd)."""
        return [layer.turns(cos, sin) for layer in self.layers]

    def additive(self, mask: Tensor) -> Tensor:
        """Convert a bool mask to an additive one. Attention would do this in every layer and step, which takes a fifth
        of its time on a CPU.
        """
        return torch.zeros(mask.shape, dtype=self.dtype, device=mask.device).masked_fill_(~mask, -torch.inf)

    def advance(
        self,
        cache: KVCache,
        x: Tensor,
        turns: Sequence[Turns],
        mask: Tensor,
        write: Sequence[tuple[slice, slice]],
        keep: Sequence[Keep] = (),
        last_only: bool = False,
    ) -> Tensor:
        """Run new tokens.

        Args:
            cache: The cache; changed in place.
            x: Embeddings (B, L, D).
            turns: Factors of each layer, from `turns`.
            mask: Result of `additive`, (B, 1, L, s): which of the first s entries each token sees; no token sees the
                rest.
            write: Which tokens are written to which entries before attention: pairs of slices of L and of s.
            keep: Further tokens to store, after attention.
            last_only: Compute the last layer's output for the last token only.

        Returns:
            Hidden states (B, L, D), or (B, 1, D) with `last_only`.
        """
        seen = mask.shape[-1]
        stores = zip(cache.keys[:, :, :, :seen], cache.values[:, :, :, :seen], self.layers, turns, strict=True)
        for i, (keys, values, layer, turn) in enumerate(stores):
            query, key, value = layer.project(x, turn)
            for tokens, entries in write:
                whole = tokens == _ALL  # saves a view, which matters for one token in a small model
                keys[:, :, entries] = key if whole else key[:, :, tokens]
                values[:, :, entries] = value if whole else value[:, :, tokens]
            if last_only and i + 1 == len(self.layers):
                x, query, mask = x[:, -1:], query[:, :, -1:], mask[:, :, -1:]
            x = layer.finish(x, _attend(query.to(self.dtype), keys, values, mask).to(x.dtype))
            for rows, tokens, places in keep:
                for store, fresh in ((keys, key), (values, value)):
                    store[rows[:, None], :, places] = fresh[rows, :, tokens].transpose(1, 2).to(self.dtype)
        return self.norm(x)

    def append(self, cache: KVCache, x: Tensor, start: int, theta: float = 10_000.0) -> Tensor:
        """Run the next tokens of a plain sequence, in which each token sees itself and all tokens before it.

        Args:
            cache: Cache with the first `start` tokens in its first entries; changed in place.
            x: Embeddings (B, L, D) of tokens `start` to `start + L`.
            start: Number of tokens in the cache.
            theta: Base of the rotary positions.

        Returns:
            Hidden states (B, L, D).

        Raises:
            ValueError: The cache is too small.
        """
        end, size = start + x.shape[1], cache.keys.shape[3]
        if end > size:
            raise ValueError(f"The cache holds {size} tokens; {end} are given.")
        positions = torch.arange(start, end, device=x.device)
        cos, sin = (a[None, None] for a in rotary(positions, self.head_dim, theta))
        mask = torch.arange(end, device=x.device) <= positions[:, None]
        return self.advance(
            cache, x, self.turns(cos, sin), self.additive(mask[None, None]), [(_ALL, slice(start, end))]
        )


def _attend(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Attention of query (B, heads, L, hd) to keys and values (B, heads, S, hd), with an additive mask (B, 1, L, S)."""
    if keys.stride(-1) == 1:
        return F.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
    if query.shape[2] > FEW:
        return F.scaled_dot_product_attention(query, keys.contiguous(), values, attn_mask=mask)
    # keys lie in columns. Copying all keys would cost more than the product with a few tokens, and summing along the
    # entries instead of a head's few numbers takes a fifth less time
    scores = torch.matmul(query * query.shape[-1] ** -0.5, keys.transpose(-1, -2)).add_(mask)
    return torch.matmul(scores.softmax(-1), values)
