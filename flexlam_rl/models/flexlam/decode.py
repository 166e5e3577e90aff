"""Cached decoding: one decision step for many environments at once (paper, appendix B.5 and B.6).

The keys and values of past tokens lie in rings of a cache (`nn.kv_cache`), with one entry per frame and row, and never
move: with rotary positions, a cached key stays valid for as long as it is in the window. Every row (environment) has
its own clock; clearing a row marks its entries as empty and touches no other row. In memory, the rings lie in this
order:

    codes of the last 34 blocks | patches of the stride frames in reach | patches of the newest frame | codes generated
    so far

Shapes: B rows, M codes per block, N patches per frame, K budget, S cache entries, D width, V codes, C H W frame.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.code_generation import CodeGenerator
from flexlam_rl.models.flexlam.decode_options import checked_cache, checked_context, refuse_lost_past
from flexlam_rl.models.flexlam.layout import block_start
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.nn.cuda_graphs import CudaGraphs
from flexlam_rl.nn.kv_cache import CachedTransformer, Keep, KVCache
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.rotary import rotary
from flexlam_rl.nn.sampling import pick as pick

_EMPTY = -(10**9)


class DecodeState(NamedTuple):
    """History of B rows. Rows are the first dimension of all tensors except the cache's."""

    cache: KVCache
    step: Tensor
    """int64 (B,): frames seen since the row was cleared."""
    block_frame: Tensor
    """int64 (B, 34): index of the block in each ring entry."""
    stride_frame: Tensor
    """int64 (B, R): index of the stride frame in each ring entry."""

    @property
    def keys(self) -> Tensor:
        """Keys of the past, (layers, B, heads, S, head_dim)."""
        return self.cache.keys


class Decoder(CodeGenerator):
    """Runs a sequence model step by step. It holds no state of its own; methods change the given state in place."""

    @in_own_modes
    def __init__(self, model: SequenceModel, cache: torch.dtype | None = None, context: int | None = None) -> None:
        """
        Args:
            model: The sequence model, with its current weights.
            cache: Type of the cached keys and values, in which attention is also computed; None for the model's own.
            context: Number of frames that a decision sees; None for as many as in the model's training, which is the
                maximum.

        Raises:
            ValueError: `context` is below 2 or above the model's own, or `cache` is not a floating-point type.
        """
        self.model = model
        self.cache = checked_cache(cache) or model.head.weight.dtype
        self.transformer = CachedTransformer(model.transformer, model.config.heads, self.cache)
        config = replace(model.config, frames=checked_context(context, model.config.frames))
        self.config = config
        self.ring = -(-config.frames // config.stride)
        self.code_end = config.frames * config.slots
        self.stride_end = self.code_end + self.ring * config.patches
        self.frame_end = self.stride_end + config.patches
        self.size = self.frame_end + config.slots
        self.graphs = CudaGraphs()

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return self.model.head.weight.device

    def numbers(self, budget: int) -> int:
        """Uniform numbers per row for its first `budget` codes: one per code."""
        return budget

    @in_own_modes
    def initial_state(self, rows: int) -> DecodeState:
        """Make the empty history of `rows` rows on the model's device."""
        device = self.device
        return DecodeState(
            self.transformer.empty(rows, self.size),
            torch.zeros(rows, device=device, dtype=torch.long),
            torch.full((rows, self.config.frames), _EMPTY, device=device, dtype=torch.long),
            torch.full((rows, self.ring), _EMPTY, device=device, dtype=torch.long),
        )

    @in_own_modes
    def clear(self, state: DecodeState, rows: Tensor) -> None:
        """Clear the history of the rows where bool `rows` (B,) is true; other rows are not touched."""
        state.step.masked_fill_(rows, 0)
        state.block_frame.masked_fill_(rows[:, None], _EMPTY)
        state.stride_frame.masked_fill_(rows[:, None], _EMPTY)

    @in_own_modes
    def observe(self, state: DecodeState, frames: Tensor, last_codes: Tensor | None) -> Tensor:
        """Add the newest frame and the codes of the transition that led to it.

        Args:
            state: History; changed in place.
            frames: The newest frames (B, C, H, W).
            last_codes: int64 (B, M), the whole block of the last transition; ignored for rows at their first frame, and
                may be None if all rows are.

        Returns:
            Hidden states (B, D) from which the first code is predicted.
        """
        config, model = self.config, self.model
        m, n, step = config.slots, config.patches, state.step
        rows = torch.arange(len(step), device=step.device)
        first = step == 0
        patches = model.embed_frames(frames)
        t = block_start(step, m, n, config.stride)
        assert isinstance(t, Tensor)
        patch_position = t[:, None] + torch.arange(n, device=t.device)
        if last_codes is None:
            refuse_lost_past(first)
            x, position, query_frame, m = patches, patch_position, step[:, None].expand(-1, n), 0
        else:
            previous = (step - 1).clamp_min(0)
            shift = torch.where(previous % config.stride == 0, n, 0)
            start = block_start(previous, m, n, config.stride) + shift
            x = torch.cat([model.embed_codes(last_codes), patches], dim=1)
            position = torch.cat([start[:, None] + torch.arange(m, device=t.device), patch_position], dim=1)
            query_frame = torch.cat([previous[:, None].expand(-1, m), step[:, None].expand(-1, n)], dim=1)
        # a query sees the ring entries of blocks and stride frames before its own frame; the block of a stride frame
        # also sees that frame's patches
        is_code = torch.arange(x.shape[1], device=t.device) < m
        blocks = state.block_frame[:, None, :]
        strides = state.stride_frame[:, None, :]
        q = query_frame[:, :, None]
        see_blocks = (blocks < q) & (blocks > q - config.frames)
        see_strides = ((strides < q) | ((strides == q) & is_code[None, :, None])) & (strides > q - config.frames)
        past = torch.cat([see_blocks.repeat_interleave(config.slots, -1), see_strides.repeat_interleave(n, -1)], dim=-1)
        causal = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=t.device).tril()
        now = causal.expand(len(step), -1, -1)
        if m:
            now = now & ~(first[:, None, None] & is_code)  # a row's first frame has no transition before it
            now = now | torch.eye(
                x.shape[1], dtype=torch.bool, device=t.device
            )  # (its unused rows must still attend to something)
        # in memory, the newest frame's patches come before the codes
        mask = self.transformer.additive(torch.cat([past, now[..., m:], now[..., :m]], dim=-1)[:, None])
        turns = self.transformer.turns(*self._rotary(position))
        code_at = ((step - 1) % config.frames)[:, None] * config.slots + torch.arange(config.slots, device=t.device)
        on_stride = step % config.stride == 0
        stride_at = self.code_end + (step // config.stride % self.ring)[:, None] * n + torch.arange(n, device=t.device)
        # rows that keep nothing repeat their last write; finding out which rows these are would make the host wait for
        # the device
        code_at = torch.where(first[:, None], torch.arange(self.frame_end, self.size, device=t.device), code_at)
        same = torch.arange(self.stride_end, self.frame_end, device=t.device)
        stride_at = torch.where(on_stride[:, None], stride_at, same)
        codes, newest = slice(0, m), slice(m, m + n)
        # until it is in its ring, the last transition's block occupies the entries of the codes that will be generated
        write = [
            (newest, slice(self.stride_end, self.frame_end)),
            (codes, slice(self.frame_end, self.frame_end + m)),
        ]
        keep = [Keep(rows, newest, stride_at)]
        if m:
            keep.insert(0, Keep(rows, codes, code_at))
        # only the last patch predicts
        hidden = self.transformer.advance(state.cache, x, turns, mask, write, keep, last_only=True)
        if m:
            _put(state.block_frame, (step - 1) % config.frames, step - 1, ~first)
        _put(state.stride_frame, step // config.stride % self.ring, step, on_stride)
        state.step.add_(1)
        return hidden[:, -1]

    def _logits(self, hidden: Tensor) -> Tensor:
        return self.model.head(hidden)

    def _stepper(self, state: DecodeState) -> Callable[[Tensor, int], Tensor]:
        config = self.config
        frame = state.step - 1
        start = block_start(frame, config.slots, config.patches, config.stride)
        assert isinstance(start, Tensor)
        positions = start[:, None] + config.patches + torch.arange(config.slots, device=start.device)
        now = frame[:, None]
        see_blocks = (state.block_frame < now) & (state.block_frame > now - config.frames)
        # the newest frame's patches have entries of their own behind the rings, even if it is on the stride
        see_strides = (state.stride_frame < now) & (state.stride_frame > now - config.frames)
        seen = torch.ones(len(frame), 1, 1, self.size, dtype=torch.bool, device=start.device)
        seen[:, 0, 0, : self.code_end] = see_blocks.repeat_interleave(config.slots, -1)
        seen[:, 0, 0, self.code_end : self.stride_end] = see_strides.repeat_interleave(config.patches, -1)
        mask = self.transformer.additive(seen)
        turns = self.transformer.turns(*self._rotary(positions))

        def step(code: Tensor, i: int) -> Tensor:
            end = self.frame_end + i + 1
            turn = [(first[..., i : i + 1, :], second[..., i : i + 1, :]) for first, second in turns]
            write = [(slice(None), slice(end - 1, end))]
            x = self.model.embed_codes(code[:, None], i)
            return self.transformer.advance(state.cache, x, turn, mask[..., :end], write)[:, 0]

        return step

    def _read(self, state: DecodeState) -> tuple[Tensor, ...]:
        return (*state.cache, *state[1:])

    def _rotary(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Compute cosines and sines (B, 1, L, head_dim) at positions (B, L)."""
        cos, sin = rotary(positions, self.transformer.head_dim, self.config.rope_theta)
        return cos[:, None], sin[:, None]


def _put(table: Tensor, place: Tensor, value: Tensor, rows: Tensor) -> None:
    """Set `table` (B, n) to `value` (B,) at each row's `place` (B,), in the rows where bool `rows` (B,) is true."""
    here = (torch.arange(table.shape[1], device=table.device) == place[:, None]) & rows[:, None]
    table.copy_(torch.where(here, value[:, None], table))
