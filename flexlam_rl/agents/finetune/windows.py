"""Windows with everything that the decisions of a rollout saw, for the uncached prior.

In a rollout, each environment's history begins where its episode (or map) began, or with the context. A window begins
at the same frame. The uncached prior therefore gives the same states and logits as the cached decoding that played, up
to rounding.

Shapes: N environments, T steps, W windows, S frames of a window, M slots, K budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from flexlam_rl.agents.finetune.contexts import Context
from flexlam_rl.models.flexlam.recurrent.model import Past

ROUND = 8
"""Windows are padded to a multiple of this number of frames, because a prior caches its masks by their length."""


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
        past: What the decisions know from before the first frame; None for nothing.
    """

    frames: Tensor
    blocks: Tensor
    chosen: Tensor
    steps: Tensor
    past: Past | None

    def to(self, device: torch.device) -> "Windows":
        """Move all parts to a device."""
        past = None if self.past is None else Past(*(part.to(device) for part in self.past))
        return Windows(
            self.frames.to(device), self.blocks.to(device), self.chosen.to(device), self.steps.to(device), past
        )  # fmt: skip


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
    goes_on = torch.tensor([run.first <= 0 and not bool(cuts[run.row, 0]) for run in found])
    out = Windows(
        frames.new_zeros(count, size, *frames.shape[2:]), blocks.new_zeros(count, size, blocks.shape[-1]),
        chosen.new_zeros(count, size, budget), torch.full((count, size), -1),
        context.past(torch.tensor([run.row for run in found]), goes_on),
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
