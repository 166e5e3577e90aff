"""Decisions of the factored prior for many environments at once, with a cache of the past (`history`).

Shapes: B rows, M codes per block, N tokens per frame, K budget, S cache entries, D width, V codes.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.factored.history import TimeDecoder
from flexlam_rl.models.flexlam.factored.model import FactoredPrior
from flexlam_rl.models.flexlam.head_decoding import HeadDecoder
from flexlam_rl.nn.kv_cache import KVCache
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


class FactoredDecoder(HeadDecoder, TimeDecoder):
    """Runs a factored prior step by step; arguments are those of `TimeDecoder`."""

    last_only = False

    @in_own_modes
    def __init__(self, model: FactoredPrior, cache: torch.dtype | None = None, context: int | None = None) -> None:
        super().__init__(model, cache, context)
        self.prepare(model, model.config.patches)

    @in_own_modes
    def initial_state(self, rows: int) -> Any:
        """Make the empty history of `rows` rows on the model's device."""
        return FactoredState(*super().initial_state(rows), *self.empty_head(rows))

    def summary(self, state: Any, seen: Tensor, hidden: Tensor) -> Tensor:
        """Compute the head's state (B, D) after the newest frame's tokens."""
        return self._head(state, seen + self.model.told(hidden[:, -seen.shape[1] :]), 0)
