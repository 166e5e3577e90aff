"""Decoding with a small head (`nn.code_head`), which the decoders of `BlockPrior`s share.

Shapes: B rows, L new tokens, N tokens before the codes, M codes per block, D width.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.block_prior import BlockPrior
from flexlam_rl.models.flexlam.code_generation import CodeGenerator
from flexlam_rl.nn.kv_cache import CachedTransformer, KVCache


class HeadDecoder(CodeGenerator):
    """Base of decoders that generate codes with a prior's head.

    States have the head's cache with rows first, as `head_keys` and `head_values`, (B, layers, heads, N + M, head_dim):
    the entries of the newest frame's tokens, then of the codes.
    """

    model: Any
    cache: torch.dtype

    def prepare(self, model: BlockPrior, tokens: int) -> None:
        """Make what the head needs; `tokens` is N."""
        head = model.head
        self.head, self._tokens = CachedTransformer(head.transformer, head.heads, self.cache), tokens
        self._turns = self.head.turns(*(a[None, None] for a in head.rotary(tokens + model.config.slots)))

    def empty_head(self, rows: int) -> tuple[Tensor, Tensor]:
        """Make the head's empty keys and values for `rows` rows."""
        keys, values = self.head.empty(rows, self._tokens + self.model.config.slots)
        return keys.transpose(0, 1), values.transpose(0, 1)

    def _logits(self, hidden: Tensor) -> Tensor:
        return self.model.head.logits(hidden)

    def _stepper(self, state: Any) -> Callable[[Tensor, int], Tensor]:
        embed, first = self.model.head.embed, self._tokens
        return lambda code, i: self._head(state, embed(code[:, None], i), first + i)

    def _read(self, state: Any) -> tuple[Tensor, ...]:
        return (state.head_keys, state.head_values)

    def _head(self, state: Any, x: Tensor, first: int) -> Tensor:
        """Run tokens (B, L, D) at places from `first` on through the head; returns the last one's state (B, D)."""
        end = first + x.shape[1]
        mask = torch.ones(x.shape[1], end, dtype=torch.bool, device=x.device).tril(first)
        turns = [(one[..., first:end, :], other[..., first:end, :]) for one, other in self._turns]
        write = [(slice(None), slice(first, end))]
        cache = KVCache(state.head_keys.transpose(0, 1), state.head_values.transpose(0, 1))
        added = self.head.additive(mask[None, None])
        return self.head.advance(cache, x, turns, added, write, last_only=True)[:, -1]
