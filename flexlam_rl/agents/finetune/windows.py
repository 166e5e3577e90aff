"""Windows with everything that the decisions of a rollout saw, for the uncached prior.

In a rollout, each environment's history begins where its episode (or map) began, or at a stride frame far enough back
to cover the whole context. A window begins at the same frame. The uncached prior therefore gives the same states and
logits as the cached decoding that played, up to rounding.

Shapes: N environments, T steps, L frames of context, W windows, S frames of a window, M slots, K budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

ROUND = 8
"""Windows are padded to a multiple of this number of frames, because a prior caches its masks by their length."""


def reach(frames: int, stride: int) -> int:
    """Return the length of the longest context of a prior that sees `frames` frames; it begins at a stride frame."""
    return frames + stride - 1


def context_length(clock: int, frames: int, stride: int) -> int:
    """Return the number of earlier frames that the decision at frame number `clock` of a history needs."""
    return clock - max(0, (clock - frames) // stride * stride)


class Context(nn.Module):
    """Frames and code blocks before a rollout, as buffers that a run's state keeps.

    The newest ones stand last. `lengths` says how many of them count, and `clocks` how many frames each history has.
    """

    def __init__(self, rows: int, longest: int, frame: Sequence[int], slots: int) -> None:
        super().__init__()
        self.frames: Tensor
        self.blocks: Tensor
        self.lengths: Tensor
        self.clocks: Tensor
        self.register_buffer("frames", torch.zeros(rows, longest, *frame, dtype=torch.uint8))
        # the last block belongs to a transition whose end has not been seen yet
        self.register_buffer("blocks", torch.zeros(rows, longest, slots, dtype=torch.int64))
        self.register_buffer("lengths", torch.zeros(rows, dtype=torch.int64))
        self.register_buffer("clocks", torch.zeros(rows, dtype=torch.int64))

    def advance(self, frames: Tensor, blocks: Tensor, cuts: Tensor, window: int, stride: int) -> None:
        """Move on to the end of a rollout.

        Args:
            frames: Frames that were seen, uint8 (N, T, C, H, W).
            blocks: Codes of the transitions that followed them, int64 (N, T, M); the last one is not known.
            cuts: Whether a history begins anew at a frame, bool (N, T + 1).
            window: Number of frames that a decision sees.
            stride: Stride of the prior.
        """
        longest, steps = self.frames.shape[1], frames.shape[1]
        for row, cut in enumerate(cuts.tolist()):
            begun = [t for t, new in enumerate(cut) if new]
            clock = steps - begun[-1] if begun else int(self.clocks[row]) + steps
            length = context_length(clock, window, stride)
            self.clocks[row], self.lengths[row] = clock, length
            if length:
                for kept, fresh in ((self.frames, frames), (self.blocks, blocks)):
                    kept[row, longest - length :] = torch.cat([kept[row], fresh[row]])[-length:]


@dataclass(frozen=True)
class Run:
    """Frames `first` to `last` (excluded) of a row's timeline, in which the rollout begins at 0."""

    row: int
    first: int
    last: int


class Windows(NamedTuple):
    """Windows of a rollout.

    Attributes:
        frames: uint8 (W, S, C, H, W).
        blocks: int64 (W, S, M).
        chosen: int64 (W, S, K).
        steps: Step and row of each frame, as t * N + row, int64 (W, S); -1 for context and padding.
    """

    frames: Tensor
    blocks: Tensor
    chosen: Tensor
    steps: Tensor


def runs_of(row: int, length: int, cuts: Sequence[bool]) -> list[Run]:
    """Find the histories in a row's timeline.

    Args:
        row: Number of the row.
        length: Number of frames of its context.
        cuts: Whether a history begins anew, for each step.
    """
    begun = [t for t, new in enumerate(cuts) if new]
    starts = [-length, *begun] if not begun or begun[0] > 0 else begun
    return [Run(row, first, last) for first, last in zip(starts, [*starts[1:], len(cuts)], strict=True)]


def windows(
    context: Context, frames: Tensor, blocks: Tensor, chosen: Tensor, cuts: Tensor, rows: Sequence[int]
) -> Windows:
    """Cut the windows of some rows from a rollout.

    Args:
        context: Frames and codes before the rollout.
        frames, blocks: Frames and codes of the rollout, as for `Context.advance`.
        chosen: Codes that were chosen, int64 (N, T, K).
        cuts: Whether a history begins anew at a frame, bool (N, T).
        rows: Numbers of the rows.

    Returns:
        One window per history.
    """
    found = [run for row in rows for run in runs_of(row, int(context.lengths[row]), cuts[row].tolist())]
    size = -(-max(run.last - run.first for run in found) // ROUND) * ROUND
    count, budget = len(found), chosen.shape[-1]
    out = Windows(
        frames.new_zeros(count, size, *frames.shape[2:]), blocks.new_zeros(count, size, blocks.shape[-1]),
        chosen.new_zeros(count, size, budget), torch.full((count, size), -1),
    )  # fmt: skip
    for i, run in enumerate(found):
        past, own = max(0, -run.first), run.last - max(0, run.first)
        for whole, before, fresh in ((out.frames, context.frames, frames), (out.blocks, context.blocks, blocks)):
            if past:
                whole[i, :past] = before[run.row, before.shape[1] - past :]
            whole[i, past : past + own] = fresh[run.row, run.last - own : run.last]
        out.chosen[i, past : past + own] = chosen[run.row, run.last - own : run.last]
        steps = torch.arange(run.last - own, run.last)
        out.steps[i, past : past + own] = steps * len(frames) + run.row
    return out
