"""The past of many environments at once, as priors over time see it, in a cache.

Keys and values lie in two rings, with one entry per frame and per block of the window, and never move: with rotary
positions, a cached key stays valid for as long as it is in the window. Tokens that leave the window are forgotten
exactly as the model's mask forgets them, so decisions equal those of the uncached model in episodes of any length. In
memory:

    the last F blocks | the frames in reach, N tokens each | the block just realised | the newest frame

Shapes: B rows, M codes per block, N tokens per frame, F frames of context, S cache entries, D width, C H W
frame.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.decode_options import checked_cache, checked_context, refuse_lost_past
from flexlam_rl.models.flexlam.factored.trunk import TimePrior
from flexlam_rl.nn.cuda_graphs import CudaGraphs
from flexlam_rl.nn.kv_cache import CachedTransformer, Keep, KVCache
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.rotary import rotary


class TimeState(NamedTuple):
    """History of B rows. Rows are the first dimension of all tensors except the cache's."""

    cache: KVCache
    step: Tensor
    """int64 (B,): frames seen since the row was cleared."""

    @property
    def keys(self) -> Tensor:
        """Keys of the past, (layers, B, heads, S, head_dim)."""
        return self.cache.keys


class TimeDecoder:
    """Base of decoders that add frames and blocks step by step.

    It holds no state of its own; methods change the given state in place. Subclasses add the generation of latents. On
    a GPU, a step is recorded as a CUDA graph.

    Args:
        model: The prior, with its current weights; later changes of the weights are not seen.
        cache: Type of the cached keys and values, in which attention is also computed; None for the model's own.
        context: Number of frames that a decision sees; None for as many as in the model's training, which is the
            maximum.

    Raises:
        ValueError: `context` is below 2 or above the model's own, or `cache` is not a floating-point type.
    """

    last_only = True
    """Whether `summary` needs only the last of a frame's tokens."""

    @in_own_modes
    def __init__(self, model: TimePrior, cache: torch.dtype | None = None, context: int | None = None) -> None:
        config = model.config
        self.model: Any = model
        self.config = replace(config, frames=checked_context(context, config.frames))
        self.cache = checked_cache(cache) or model.frame_position.dtype
        self.transformer = CachedTransformer(model.transformer, config.heads, self.cache)
        self.block_end = self.config.frames
        self.ring_end = self.block_end + self.config.frames * config.patches
        self.size = self.ring_end + 1 + config.patches
        self.graphs = CudaGraphs()

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return self.model.frame_position.device

    def numbers(self, budget: int) -> int:
        """Uniform numbers per row for its first `budget` latents: one per latent, unless a subclass differs."""
        return budget

    @in_own_modes
    def initial_state(self, rows: int) -> TimeState:
        """Make the empty history of `rows` rows on the model's device."""
        return TimeState(
            self.transformer.empty(rows, self.size), torch.zeros(rows, device=self.device, dtype=torch.long)
        )

    @in_own_modes
    def clear(self, state: TimeState, rows: Tensor) -> None:
        """Clear the history of the rows where bool `rows` (B,) is true; other rows are not touched."""
        state.step.masked_fill_(rows, 0)

    @in_own_modes
    def observe(
        self, state: TimeState, frames: Tensor, last_codes: Tensor | None, kept: Tensor | None = None
    ) -> Tensor:
        """Add the newest frame and the latents of the transition that led to it.

        Args:
            state: History; changed in place.
            frames: The newest frames (B, C, H, W).
            last_codes: Latents of the last transition, (B, M) or (B, M, d), or of its first slots only; ignored for
                rows at their first frame, and may be None if all rows are.
            kept: int (B,), the number of these latents that count; None for all.

        Returns:
            States (B, D) from which the next block is predicted.
        """
        config, model, step = self.config, self.model, state.step
        n, window = config.patches, config.frames
        first = step == 0
        seen = model.embed_frames(frames)
        x, entry = seen, torch.arange(window, device=step.device)
        if last_codes is None:
            refuse_lost_past(first)
            m = 0
        else:
            x, m = torch.cat([model.embed_blocks(last_codes, kept)[:, None], x], dim=1), 1
        # a block's token belongs to the frame before it
        own = torch.cat([step[:, None] - 1] * m + [step[:, None].expand(-1, n)], dim=1)
        position = step[:, None] * (n + 1) + torch.arange(-m, n, device=step.device)
        # index of the frame or block in each ring entry; entries from before a row's first frame are empty
        last = step[:, None] - 1
        held = last - (last - entry) % window
        blocks = last - 1 - (last - 1 - entry) % window
        nearest = own[:, :, None] - window
        see_blocks = (blocks[:, None] >= 0) & (blocks[:, None] > nearest)
        see_frames = ((held[:, None] >= 0) & (held[:, None] > nearest)).repeat_interleave(n, -1)
        now = torch.ones(m + n, m + n, dtype=torch.bool, device=step.device).tril().expand(len(step), -1, -1)
        if m:
            # there is no transition before a row's first frame; its unused token must still attend to something
            beginning = torch.arange(m + n, device=step.device) < m
            now = now & ~(first[:, None, None] & beginning) | torch.eye(m + n, dtype=torch.bool, device=step.device)
        mask = self.transformer.additive(torch.cat([see_blocks, see_frames, now], dim=-1)[:, None])
        rows = torch.arange(len(step), device=step.device)
        turns = self.transformer.turns(*(a[:, None] for a in self._rotary(position)))
        # without a preceding block, the newest frame takes the block's entries, which are not read again
        write = [(slice(None), slice(self.ring_end, self.ring_end + m + n))]
        frame_at = self.block_end + (step % window)[:, None] * n + torch.arange(n, device=step.device)
        keep = [Keep(rows, slice(m, m + n), frame_at)]
        if m:
            # rows without a block repeat their last write; finding out which rows these are would make the host wait
            block_at = torch.where(first, self.ring_end, (step - 1) % window)
            keep.append(Keep(rows, slice(0, 1), block_at[:, None]))
        hidden = self.transformer.advance(state.cache, x, turns, mask, write, keep, last_only=self.last_only)
        state.step.add_(1)
        return self.summary(state, seen, hidden)

    def summary(self, state: Any, seen: Tensor, hidden: Tensor) -> Tensor:
        """Compute the state (B, D) from which the next block is predicted.

        Args:
            state: History, including the newest frame.
            seen: The newest frame's tokens (B, N, D).
            hidden: The transformer's output for these tokens; only that of the last one, (B, 1, D), with `last_only`.
        """
        return hidden[:, -1]

    def _rotary(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Compute cosines and sines (B, L, head_dim) at positions (B, L)."""
        return rotary(positions, self.transformer.head_dim, self.config.rope_theta)
