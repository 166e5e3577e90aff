"""Place of every token of a window: the interleaving of frame patches and code blocks (paper, appendix B.1).

To predict block t, the model sees the frames on the stride and all code blocks before t, then the newest frame o_t,
then the codes of block t so far. If o_t is not on the stride, it leaves the context again once block t is part of the
history. Training must show the model exactly this for every t at once, so a window holds two kinds of tokens: the
*history* (stride frames and code blocks in the order of time) and, for every t, a *branch* (the patches of o_t and a
copy of block t's codes) that sees the history before t and itself. The loss is taken on branches, and decoding runs
them; no other token sees them.

Shapes: T frames of a window, M codes per block, N patches per frame, L tokens.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.dropping import Dropped
from flexlam_rl.nn.attention import Span

PATCH, CODE = 0, 1
SPAN = 8
"""Frames per span: fewer leave less to mask, more make larger matrix products."""


class Layout(NamedTuple):
    """One entry per token (L,), plus the attention masks."""

    kind: Tensor
    """PATCH or CODE."""
    frame: Tensor
    """Index of the token's frame or block in the window, 0..T-1."""
    place: Tensor
    """Index of the patch (0..N-1) or code (0..M-1)."""
    branch: Tensor
    """bool: whether the token belongs to a branch."""
    position: Tensor
    """Rotary position: the token's index in the context that the decision at its frame sees."""
    mask: Tensor
    """bool (L, L): row attends to column."""
    predicts: Tensor
    """int (T, predicted codes): the token whose output predicts code m of block t."""
    source: Tensor
    """int (L,): index of the token's embedding among all T * N patches followed by all T * M codes."""
    spans: tuple[Span, ...]
    """The same attention as `mask`, in spans."""


def block_start(frame: Tensor | int, slots: int, patches: int, stride: int, phase: int = 0) -> Tensor | int:
    """Rotary position at which frame t begins: the number of tokens of all blocks and stride frames before it.

    Frames whose index plus `phase` is a multiple of `stride` are on the stride.
    """
    on_stride_before = (frame + phase + stride - 1) // stride - (phase + stride - 1) // stride
    return frame * slots + on_stride_before * patches


@lru_cache(maxsize=256)
def layout(
    frames: int,
    slots: int,
    patches: int,
    stride: int,
    window: int,
    phase: int = 0,
    device: str = "cpu",
    predicted: int | None = None,
) -> Layout:
    """Make the layout of a window of `frames` frames whose first frame is `phase` steps after a stride frame.

    Branches predict the first `predicted` codes of their blocks (None for all); the history always holds whole blocks.
    """
    ahead = slots if predicted is None else predicted
    rows: list[tuple[int, int, int, bool, int]] = []
    # no token sees the last frame in the history, so it has a branch only
    for t in range(frames - 1):
        start = int(block_start(t, slots, patches, stride, phase))
        shift = 0
        if (t + phase) % stride == 0:
            rows += [(PATCH, t, n, False, start + n) for n in range(patches)]
            shift = patches
        rows += [(CODE, t, m, False, start + shift + m) for m in range(slots)]
    history = len(rows)
    for t in range(frames):
        start = int(block_start(t, slots, patches, stride, phase))
        rows += [(PATCH, t, n, True, start + n) for n in range(patches)]
        # the last predicted code predicts nothing itself, so a branch needs no token for it
        rows += [(CODE, t, m, True, start + patches + m) for m in range(ahead - 1)]
    table = torch.tensor(rows, dtype=torch.long)
    kind, frame, place, branch, position = table[:, 0], table[:, 1], table[:, 2], table[:, 3].bool(), table[:, 4]
    order = torch.arange(len(rows))
    near = (frame[:, None] - frame[None, :]) < window
    past = ~branch[None, :] & (frame[None, :] < frame[:, None]) & near
    same = (
        (frame[:, None] == frame[None, :]) & (branch[:, None] == branch[None, :]) & (order[None, :] <= order[:, None])
    )
    per_branch = patches + ahead - 1
    predicts = history + torch.arange(frames)[:, None] * per_branch + patches - 1 + torch.arange(ahead)[None, :]
    source = torch.where(kind == PATCH, frame * patches + place, frames * patches + frame * slots + place)
    mask = past | same
    ends = torch.bincount(frame[:history], minlength=frames).cumsum(0).tolist()
    starts = [0, *ends[:-1]]
    spans = []
    for first in range(0, frames, SPAN):
        last = min(first + SPAN, frames) - 1
        span = max(0, first - window + 1) // SPAN
        own, seen = order[starts[first] : ends[last]], order[starts[span * SPAN] : ends[last]]
        branches = order[history + first * per_branch : history + (last + 1) * per_branch]
        part = mask[torch.cat([own, branches])[:, None], torch.cat([seen, branches])]
        spans.append(Span(len(own), len(branches), span, part.to(device)))
    kind, frame, place, branch, position, mask, predicts, source = (
        x.to(device) for x in (kind, frame, place, branch, position, mask, predicts, source)
    )
    return Layout(kind, frame, place, branch, position, mask, predicts, source, tuple(spans))


def without(lay: Layout, dropped: Dropped) -> tuple[Span, ...]:
    """Make the spans of a layout in which later tokens do not see what is dropped, whose own tokens see each other."""
    device = lay.frame.device
    of_patches, of_codes = (part.to(device)[lay.frame] for part in dropped)
    gone = torch.where(lay.kind == PATCH, of_patches, of_codes) & ~lay.branch
    group = (lay.frame * 2 + lay.kind) * 2 + lay.branch
    count = len(lay.spans)
    tokens = torch.arange(len(group), device=device)
    parts = tokens.split([span.history for span in lay.spans] + [span.branches for span in lay.spans])
    spans = []
    for i, span in enumerate(lay.spans):
        rows = torch.cat([parts[i], parts[count + i]])
        columns = torch.cat([*parts[span.first : i + 1], parts[count + i]])
        own = group[rows][:, None] == group[columns]
        spans.append(span._replace(mask=span.mask & (own | ~gone[columns])))
    return tuple(spans)
