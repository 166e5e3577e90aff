"""Decisions of the factored prior for many environments at once, with a cache of the past (`history`).

Shapes: B rows, M codes per block, N tokens per frame, K budget, S cache entries, D width, V codes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.code_generation import CodeGenerator
from flexlam_rl.models.flexlam.factored.history import TimeDecoder
from flexlam_rl.models.flexlam.factored.model import FactoredPrior
from flexlam_rl.nn.kv_cache import CachedTransformer, KVCache
from flexlam_rl.nn.modes import in_own_modes


class FactoredState(NamedTuple):
    """History of B rows. Rows are the first dimension of all tensors except the cache's."""

    cache: KVCache
    step: Tensor
    """int64 (B,): frames seen since the row was cleared."""
    head_keys: Tensor
    """Keys of the head, (B, layers, heads, N + M, head_dim): those of the newest frame's tokens, then of the codes."""
    head_values: Tensor

    @property
    def keys(self) -> Tensor:
        """Keys of the past, (layers, B, heads, S, head_dim)."""
        return self.cache.keys

    @property
    def head(self) -> KVCache:
        """The head's cache."""
        return KVCache(self.head_keys.transpose(0, 1), self.head_values.transpose(0, 1))


class FactoredDecoder(CodeGenerator, TimeDecoder):
    """Runs a factored prior step by step; arguments are those of `TimeDecoder`."""

    last_only = False

    @in_own_modes
    def __init__(self, model: FactoredPrior, cache: torch.dtype | None = None, context: int | None = None) -> None:
        super().__init__(model, cache, context)
        config, head = model.config, model.head
        self.head = CachedTransformer(head.transformer, config.heads, self.cache)
        self._turns = self.head.turns(*(a[None, None] for a in head.rotary(config.patches + config.slots)))

    @in_own_modes
    def initial_state(self, rows: int) -> Any:
        """Make the empty history of `rows` rows on the model's device."""
        head = self.head.empty(rows, self.config.patches + self.config.slots)
        return FactoredState(*super().initial_state(rows), *(part.transpose(0, 1) for part in head))

    def summary(self, state: Any, seen: Tensor, hidden: Tensor) -> Tensor:
        """Compute the head's state (B, D) after the newest frame's tokens."""
        return self._head(state, seen + self.model.told(hidden[:, -seen.shape[1] :]), 0)

    def _logits(self, hidden: Tensor) -> Tensor:
        return self.model.head.logits(hidden)

    def _stepper(self, state: Any) -> Callable[[Tensor, int], Tensor]:
        embed, first = self.model.head.embed, self.config.patches
        return lambda code, i: self._head(state, embed(code[:, None], i), first + i)

    def _read(self, state: Any) -> tuple[Tensor, ...]:
        return (state.head_keys, state.head_values)

    def _head(self, state: Any, x: Tensor, first: int) -> Tensor:
        """Run tokens (B, L, D) at places from `first` on through the head; returns the last one's state (B, D)."""
        end = first + x.shape[1]
        mask = torch.ones(x.shape[1], end, dtype=torch.bool, device=x.device).tril(first)
        turns = [(one[..., first:end, :], other[..., first:end, :]) for one, other in self._turns]
        write = [(slice(None), slice(first, end))]
        added = self.head.additive(mask[None, None])
        return self.head.advance(state.head, x, turns, added, write, last_only=True)[:, -1]
