"""The fewest slots that are good enough: a search over prefix lengths (ElasticTok, section 4.2; Table 4.4 compares
the ways to search).

Any cost will do, differentiable or not: whatever tells how bad each row is when only its first k slots are kept.

Shapes: B rows, L lengths.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from flexlam_rl.utils.numbers import whole

Evaluate = Callable[[Tensor], Tensor]
"""Costs (B,) of B rows whose first k slots are kept; k int64 (B,), a length per row."""
How = Literal["full", "binned", "binary", "regressed"]
"""How to search: evaluate every length; evaluate uniformly spaced ones; halve the range; take a guess as it is."""


class Found(NamedTuple):
    """What a search found.

    Attributes:
        lengths: int64 (B,), the shortest length found whose cost is at most the threshold; where none was found, the
            longest.
        met: bool (B,), whether one was found.
        evaluations: int64 (B,), costs that the search needed of each row.
    """

    lengths: Tensor
    met: Tensor
    evaluations: Tensor


def grid(slots: int, least: int = 1, bins: int | None = None) -> Tensor:
    """Give the lengths that a full or binned search evaluates.

    Args:
        slots: M, the longest.
        least: The shortest.
        bins: How many, uniformly spaced, both ends among them; None for every length.

    Returns:
        int64 (L,), ascending. L is below `bins` where there are fewer lengths.
    """
    count = slots - least + 1
    bins = count if bins is None else min(bins, count)
    return torch.linspace(least, slots, bins, dtype=torch.float64).round().long() if bins > 1 else torch.tensor([slots])


def cost_curves(evaluate: Evaluate, rows: int, lengths: Tensor) -> Tensor:
    """Evaluate every row at every length.

    Returns:
        Costs (B, L). `shortest` reads the answer to any threshold from them.

    Raises:
        ValueError: A cost is not a number.
    """
    return torch.stack([_costs(evaluate, length.expand(rows)) for length in lengths], 1)


def shortest(curves: Tensor, lengths: Tensor, threshold: float | Tensor) -> tuple[Tensor, Tensor]:
    """Find each row's first length whose cost is at most the threshold.

    Args:
        curves: Costs (B, L).
        lengths: int64 (L,), ascending.
        threshold: One number, or one per row (B,).

    Returns:
        Lengths int64 (B,), the last one where no cost is low enough, and whether one was, bool (B,).
    """
    good = curves <= _per_row(threshold, curves)[:, None]
    met = good.any(1)
    return torch.where(met, lengths[good.int().argmax(1)], lengths[-1]), met


def search(
    evaluate: Evaluate,
    rows: int,
    slots: int,
    threshold: float | Tensor,
    how: How = "full",
    *,
    least: int = 1,
    bins: int = 100,
    start: Tensor | None = None,
    device: torch.device | str = "cpu",
) -> Found:
    """Find the shortest prefix of each row whose cost is at most the threshold.

    Where costs fall as prefixes grow, "full" and "binary" find the same. Elsewhere "full" is right by definition, and
    "binary" finds a length that meets the threshold while the next shorter one does not (or there is none shorter),
    but perhaps not the shortest such length, and perhaps none where there is one. "binned" finds the shortest of its
    lengths, never one shorter than "full".

    Args:
        evaluate: Gives the costs. It is always asked about all rows; a row that is done is asked again at the length
            of its last answer, which is not counted.
        rows: B.
        slots: M, the longest prefix. It is the answer where the threshold is not met.
        threshold: The largest cost that is good enough: one number, or one per row (B,).
        how: See `How`. "full" needs M - least + 1 evaluations, "binned" at most `bins`, "binary" about log2(M), and
            "regressed" one, which only tells whether the guess is good enough.
        least: The shortest prefix, 0 or more.
        bins: How many lengths "binned" tries.
        start: A guess per row, int64 (B,). "regressed" takes it; "binary" begins there and doubles its steps away from
            it, which needs few evaluations where the guess is near.
        device: Where `evaluate` wants its lengths.

    Raises:
        ValueError: A number is out of range, a guess is missing or not asked for, or a cost is not a number.
    """
    slots, rows = whole(slots, "slots", 1), whole(rows, "rows", 1)
    least, bins = whole(least, "least", 0, slots), whole(bins, "bins", 1)
    if how not in get_args(How):
        raise ValueError(f"how is {how!r}; expected one of {', '.join(get_args(How))}.")
    if start is None and how == "regressed":
        raise ValueError("start is None; a 'regressed' search takes a guess per row.")
    if start is not None and how in ("full", "binned"):
        raise ValueError(f"start is given; a {how!r} search takes no guess.")
    if start is not None:
        start = _checked_start(start, rows, least, slots).to(device)
    if how in ("full", "binned"):
        lengths = grid(slots, least, bins if how == "binned" else None).to(device)
        curves = cost_curves(evaluate, rows, lengths)
        return Found(*shortest(curves, lengths, threshold), torch.full((rows,), len(lengths), device=device))
    if how == "regressed":
        assert start is not None
        costs = _costs(evaluate, start)
        return Found(start, costs <= _per_row(threshold, costs), torch.ones_like(start))
    return _binary(evaluate, torch.full((rows,), least, device=device), slots, threshold, start)


def _binary(evaluate: Evaluate, low: Tensor, slots: int, threshold: float | Tensor, start: Tensor | None) -> Found:
    """Halve the range `low`..M + 1 of each row, in which M + 1 stands for "not met"."""
    high = torch.full_like(low, slots + 1)
    below, above = torch.zeros_like(low, dtype=torch.bool), torch.zeros_like(low, dtype=torch.bool)
    stride, evaluations, first = torch.ones_like(low), torch.zeros_like(low), True
    while bool((open_ := low < high).any()):
        middle = (low + high) // 2
        if start is not None and first:
            middle = start
        elif start is not None:  # steps that double, until the answer is known to lie on both sides
            middle = torch.where(above & ~below, torch.maximum(high - stride, low), middle)
            middle = torch.where(below & ~above, torch.minimum(low - 1 + stride, high - 1), middle)
            stride = stride * 2
        costs = _costs(evaluate, torch.where(open_, middle, low.clamp(max=slots)))
        good = costs <= _per_row(threshold, costs)
        high = torch.where(open_ & good, middle, high)
        low = torch.where(open_ & ~good, middle + 1, low)
        above, below, first = above | (open_ & good), below | (open_ & ~good), False
        evaluations += open_
    return Found(low.clamp(max=slots), low <= slots, evaluations)


def _costs(evaluate: Evaluate, lengths: Tensor) -> Tensor:
    costs = evaluate(lengths)
    if costs.shape != lengths.shape:
        raise ValueError(f"Costs have the shape {tuple(costs.shape)}; expected one per row, {tuple(lengths.shape)}.")
    if bool(costs.isnan().any()):
        row = int(costs.isnan().int().argmax())
        raise ValueError(f"The cost of row {row} at prefix length {int(lengths[row])} is not a number.")
    return costs


def _per_row(threshold: float | Tensor, costs: Tensor) -> Tensor:
    """The threshold of each row, (B,)."""
    limits = torch.as_tensor(threshold, device=costs.device, dtype=costs.dtype)
    if limits.ndim > 1 or (limits.ndim == 1 and len(limits) != len(costs)) or bool(limits.isnan().any()):
        raise ValueError(f"threshold is {threshold!r}; expected one number, or one for each of {len(costs)} rows.")
    return limits.expand(len(costs))


def _checked_start(start: Tensor, rows: int, least: int, slots: int) -> Tensor:
    good = isinstance(start, Tensor) and start.dtype == torch.int64 and start.shape == (rows,)
    if not good or bool(((start < least) | (start > slots)).any()):
        raise ValueError(
            f"start is {start!r}; expected int64 lengths from {least} to {slots}, one for each of {rows} rows."
        )
    return start
