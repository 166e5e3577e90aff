"""A causal transformer that goes on from what it has seen, with a cache of keys and values.

The cache has a fixed number of entries. Entries are written where the caller says and are never moved: rotary positions
make a cached key valid wherever it lies. A mask says which entries a token sees, so the same cache serves a plain
sequence (`append`) and histories of many environments that each have their own clock (FlexLAM's decoder).

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
"""New tokens up to which keys are not copied for them."""
_ALL = slice(None)
Turns = tuple[Tensor, Tensor]
"""What a layer turns its queries and keys by, (2, B, 1, L, hd) twice."""


class KVCache(NamedTuple):
    """Keys and values, each (layers, B, heads, S, hd)."""

    keys: Tensor
    values: Tensor


class Keep(NamedTuple):
    """Tokens whose keys and values are stored after attention, in some rows, each row at entries of its own.

    Attributes:
        rows: int64 (R,).
        tokens: Which of the L new tokens, n of them.
        entries: int64 (R, n).
    """

    rows: Tensor
    tokens: slice
    entries: Tensor


class CachedTransformer:
    """Runs a transformer on new tokens. It holds no state: a cache goes in and is changed in place.

    Args:
        transformer: Its weights as they are now; weights that change later are not seen.
        heads: Heads of each attention.
        cache: Type of cached keys and values, in which attention is then computed too.
    """

    def __init__(self, transformer: CausalTransformer, heads: int, cache: torch.dtype) -> None:
        self.layers = [FusedLayer(layer) for layer in transformer.stack()]
        self.norm, self.dtype, self.heads = transformer.norm, cache, heads
        self.width = len(transformer.norm.weight)

    @property
    def head_dim(self) -> int:
        """hd."""
        return self.width // self.heads

    def empty(self, rows: int, size: int) -> KVCache:
        """A cache of `size` entries for `rows` rows, on the weights' device."""
        device = self.norm.weight.device
        shape = (len(self.layers), rows, self.heads, size, self.head_dim)
        values = torch.zeros(shape, device=device, dtype=self.dtype)
        if device.type != "cpu" or self.dtype == torch.bfloat16:
            # torch's own attention takes rows, and sums bfloat16 in float32
            return KVCache(torch.zeros_like(values), values)
        # in memory, keys have one column per entry, where `_attend` reads them so; their shape does not tell
        return KVCache(torch.zeros(*shape[:-2], shape[-1], shape[-2], dtype=self.dtype).transpose(-1, -2), values)

    def turns(self, cos: Tensor, sin: Tensor) -> list[Turns]:
        """What each layer turns by at rotary positions, cos and sin (B, 1, L, hd)."""
        return [layer.turns(cos, sin) for layer in self.layers]

    def additive(self, mask: Tensor) -> Tensor:
        """What attention makes of a bool mask in every layer and step: a fifth of its time on a CPU, so it is made
        once.
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
            cache: Changed in place.
            x: Embeddings (B, L, D).
            turns: Of each layer, from `turns`.
            mask: From `additive`, (B, 1, L, s): which of the first s entries each token sees; the rest none sees.
            write: Which tokens go to which entries, before attention: pairs of slices of L and of s.
            keep: What is stored after attention as well.
            last_only: Compute the last layer's output of the last token alone.

        Returns:
            Hidden states (B, L, D), or (B, 1, D) with `last_only`.
        """
        seen = mask.shape[-1]
        stores = zip(cache.keys[:, :, :, :seen], cache.values[:, :, :, :seen], self.layers, turns, strict=True)
        for i, (keys, values, layer, turn) in enumerate(stores):
            query, key, value = layer.project(x, turn)
            for tokens, entries in write:
                whole = tokens == _ALL  # a view less, which counts for one token in a small model
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
        """Run the next tokens of a plain sequence, each of which sees all before it and itself.

        Args:
            cache: Holds the first `start` tokens at its first entries; changed in place.
            x: Embeddings (B, L, D) of tokens `start` to `start + L`.
            start: How many tokens the cache holds.
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
    # keys in columns, few tokens, for which a copy of all keys would cost more than the product: along the entries, not
    # along a head's few numbers, it takes a fifth less time
    scores = torch.matmul(query * query.shape[-1] ** -0.5, keys.transpose(-1, -2)).add_(mask)
    return torch.matmul(scores.softmax(-1), values)
