"""Decisions of the recurrent prior for many environments at once.

Shapes: B rows, M codes per block, K budget, G width of the GRU, D width, C H W frame.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.decode_options import checked_cache, refuse_lost_past
from flexlam_rl.models.flexlam.head_decoding import HeadDecoder
from flexlam_rl.models.flexlam.recurrent.model import RecurrentPrior
from flexlam_rl.nn.cuda_graphs import CudaGraphs
from flexlam_rl.nn.modes import in_own_modes


class RecurrentState(NamedTuple):
    """History of B rows. Rows are the first dimension of all tensors."""

    memory: Tensor
    """The GRU's state, (B, G)."""
    step: Tensor
    """int64 (B,): frames seen since the row was cleared."""
    head_keys: Tensor
    head_values: Tensor


class RecurrentDecoder(HeadDecoder):
    """Runs a recurrent prior step by step. It holds no state of its own; methods change the given state in place.

    Args:
        model: The prior, with its current weights.
        cache: Type of the head's cached keys and values; None for the model's own.
        context: Not taken, as the memory cannot be shortened; it must be None.

    Raises:
        ValueError: `context` is not None, or `cache` is not a floating-point type.
    """

    size = 0
    """Cache entries of the past: there are none."""

    @in_own_modes
    def __init__(self, model: RecurrentPrior, cache: torch.dtype | None = None, context: int | None = None) -> None:
        if context is not None:
            raise ValueError(
                f"context is {context} frames, but a recurrent prior remembers the whole episode: leave it out."
            )
        self.model, self.config = model, model.config
        self.cache = checked_cache(cache) or model.told.weight.dtype
        self.prepare(model, 1)
        self.graphs = CudaGraphs()

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return self.model.told.weight.device

    def numbers(self, budget: int) -> int:
        """Uniform numbers per row for its first `budget` codes: one per code."""
        return budget

    @in_own_modes
    def initial_state(self, rows: int) -> RecurrentState:
        """Make the empty history of `rows` rows on the model's device."""
        weight = self.model.told.weight
        memory = torch.zeros(rows, self.model.memory, dtype=weight.dtype, device=weight.device)
        return RecurrentState(memory, torch.zeros(rows, dtype=torch.long, device=weight.device), *self.empty_head(rows))

    @in_own_modes
    def state_of(self, memory: Tensor, step: Tensor) -> RecurrentState:
        """Make a history of B rows again from its `memory` and `step`."""
        state = self.initial_state(len(memory))
        return state._replace(memory=memory.to(state.memory, copy=True), step=step.to(state.step, copy=True))

    @in_own_modes
    def clear(self, state: RecurrentState, rows: Tensor) -> None:
        """Clear the history of the rows where bool `rows` (B,) is true; other rows are not touched."""
        state.step.masked_fill_(rows, 0)

    @in_own_modes
    def observe(
        self, state: RecurrentState, frames: Tensor, last_codes: Tensor | None, kept: Tensor | None = None
    ) -> Tensor:
        """Add the newest frame and the codes of the transition that led to it.

        Args:
            state: History; changed in place.
            frames: The newest frames (B, C, H, W).
            last_codes: Codes of the last transition, (B, M) or of its first slots only; ignored for rows at their first
                frame, and may be None if all rows are.
            kept: int (B,), the number of these codes that count; None for all.

        Returns:
            States (B, D) from which the next block is predicted.
        """
        model, first = self.model, state.step == 0
        if last_codes is None:
            refuse_lost_past(first)
            last_codes = torch.zeros(len(first), 1, dtype=torch.long, device=first.device)
        seen = model.features(frames)
        block = model.embed_blocks(last_codes, kept).masked_fill(first[:, None], 0.0)
        memory = model.gru(torch.cat([seen, block], -1)[:, None], first[:, None], state.memory)[:, 0]
        state.memory.copy_(memory)
        state.step.add_(1)
        return self._head(state, model.tokens(seen, memory), 0)
