"""The past of many environments at once, as priors over time see it, with a cache.

Keys and values lie in two rings, one entry per frame and per block in reach, and are never moved: rotary positions make
a cached key valid for as long as it lies in the window. What leaves the window is forgotten exactly as the model's mask
forgets it, so an episode of any length equals the uncached model. In memory:

    the last F blocks | the frames in reach, N tokens each | the block just realised | the newest frame

Shapes: B rows, M codes per block, N tokens per frame, F frames of context, S cache entries, D width, C H W
frame.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.decode_options import checked_cache, checked_context
from flexlam_rl.models.flexlam.factored.trunk import TimePrior
from flexlam_rl.nn.cuda_graphs import CudaGraphs
from flexlam_rl.nn.kv_cache import CachedTransformer, Keep, KVCache
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.rotary import rotary


class TimeState(NamedTuple):
    """History of B rows; all tensors but the cache's have the rows first."""

    cache: KVCache
    step: Tensor
    """int64 (B,): frames seen since the row was cleared."""

    @property
    def keys(self) -> Tensor:
        """Keys of the past, (layers, B, heads, S, head_dim)."""
        return self.cache.keys


class TimeDecoder:
    """Takes in frames and blocks step by step. It holds no state of its own: a state goes in and comes out, changed in
    place. What it generates from the summary, a decoder of a prior adds; on a GPU, that is recorded as a CUDA graph.

    Args:
        model: Its weights as they are now; weights that change later are not seen.
        cache: Type of the cached keys and values, in which attention is then computed too; None for the model's own.
        context: Frames that a decision sees; None for as many as the model was trained with, which is the most.

    Raises:
        ValueError: `context` lies outside 2 and the model's own, or `cache` is no type of floats.
    """

    last_only = True
    """Whether the last of a frame's tokens is all that `summary` needs."""

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
        """Where the model is."""
        return self.model.frame_position.device

    def numbers(self, budget: int) -> int:
        """How many uniform numbers a row's first `budget` latents take: one each, unless a prior says otherwise."""
        return budget

    @in_own_modes
    def initial_state(self, rows: int) -> TimeState:
        """Empty history of `rows` rows on the model's device."""
        return TimeState(
            self.transformer.empty(rows, self.size), torch.zeros(rows, device=self.device, dtype=torch.long)
        )

    @in_own_modes
    def clear(self, state: TimeState, rows: Tensor) -> None:
        """Begin anew in the rows where bool `rows` (B,) is true; other rows are not touched."""
        state.step.masked_fill_(rows, 0)

    @in_own_modes
    def observe(self, state: TimeState, frames: Tensor, last_codes: Tensor | None) -> Tensor:
        """Take in the newest frame and the latents of the transition that led to it.

        Args:
            state: History; advanced in place.
            frames: The newest frames (B, C, H, W).
            last_codes: Latents of the realised transition, (B, M) or (B, M, d), or of its first slots alone; ignored in
                rows at their first frame, and may be None when all rows are.

        Returns:
            States (B, D) from which the block ahead is predicted.
        """
        config, model, step = self.config, self.model, state.step
        n, window = config.patches, config.frames
        first = step == 0
        seen = model.embed_frames(frames)
        x, entry = seen, torch.arange(window, device=step.device)
        if last_codes is None:
            if not bool(first.all()):
                raise ValueError(
                    "last_codes is None, but some rows have a past; their last transition's codes are needed."
                )
            m = 0
        else:
            x, m = torch.cat([model.embed_blocks(last_codes)[:, None], x], dim=1), 1
        # a block's token belongs to the frame before it
        own = torch.cat([step[:, None] - 1] * m + [step[:, None].expand(-1, n)], dim=1)
        position = step[:, None] * (n + 1) + torch.arange(-m, n, device=step.device)
        # which frame and block each entry of a ring holds; those before the row's first frame hold nothing
        last = step[:, None] - 1
        held = last - (last - entry) % window
        blocks = last - 1 - (last - 1 - entry) % window
        nearest = own[:, :, None] - window
        see_blocks = (blocks[:, None] >= 0) & (blocks[:, None] > nearest)
        see_frames = ((held[:, None] >= 0) & (held[:, None] > nearest)).repeat_interleave(n, -1)
        now = torch.ones(m + n, m + n, dtype=torch.bool, device=step.device).tril().expand(len(step), -1, -1)
        if m:
            # a row's first frame has no transition before it; its unused token must still see something
            beginning = torch.arange(m + n, device=step.device) < m
            now = now & ~(first[:, None, None] & beginning) | torch.eye(m + n, dtype=torch.bool, device=step.device)
        mask = self.transformer.additive(torch.cat([see_blocks, see_frames, now], dim=-1)[:, None])
        rows = torch.arange(len(step), device=step.device)
        turns = self.transformer.turns(*(a[:, None] for a in self._rotary(position)))
        # without a block before it, the newest frame stands where the block would: nothing of that is read again
        write = [(slice(None), slice(self.ring_end, self.ring_end + m + n))]
        frame_at = self.block_end + (step % window)[:, None] * n + torch.arange(n, device=step.device)
        keep = [Keep(rows, slice(m, m + n), frame_at)]
        if m:
            # rows without a block write where they have just written: asking which they are would make the host wait
            block_at = torch.where(first, self.ring_end, (step - 1) % window)
            keep.append(Keep(rows, slice(0, 1), block_at[:, None]))
        hidden = self.transformer.advance(state.cache, x, turns, mask, write, keep, last_only=self.last_only)
        state.step.add_(1)
        return self.summary(state, seen, hidden)

    def summary(self, state: Any, seen: Tensor, hidden: Tensor) -> Tensor:
        """The state (B, D) from which the block ahead is predicted.

        Args:
            state: History, with the newest frame.
            seen: The newest frame's tokens (B, N, D).
            hidden: What the transformer made of them, (B, 1, D) of the last one alone with `last_only`.
        """
        return hidden[:, -1]

    def _rotary(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines (B, L, head_dim) at positions (B, L)."""
        return rotary(positions, self.transformer.head_dim, self.config.rope_theta)
