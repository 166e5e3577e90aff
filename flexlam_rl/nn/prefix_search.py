"""Search for the fewest slots that are good enough, over prefix lengths (ElasticTok, section 4.2; Table 4.4 compares
the ways to search).

Any cost can be used, differentiable or not: it measures how bad each row is if only its first k slots are kept.

Shapes: B rows, L lengths.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from flexlam_rl.utils.numbers import whole

Evaluate = Callable[[Tensor], Tensor]
"""Function from prefix lengths k, int64 (B,), one per row, to the costs (B,) of rows with only k slots kept."""
How = Literal["full", "binned", "binary", "regressed"]
"""How to search: evaluate every length; evaluate uniformly spaced lengths; halve the range; take a guess as it is."""


class Found(NamedTuple):
    """Result of a search.

    Attributes:
        lengths: int64 (B,), the shortest length found whose cost is at most the threshold, or the longest length if
            none was found.
        met: bool (B,), whether one was found.
        evaluations: int64 (B,), number of costs that the search needed for each row.
    """

    lengths: Tensor
    met: Tensor
    evaluations: Tensor


def grid(slots: int, least: int = 1, bins: int | None = None) -> Tensor:
    """Give the lengths that a full or binned search evaluates.

    Args:
        slots: M, the longest length.
        least: The shortest length.
        bins: Number of lengths, uniformly spaced and including both ends; None for every length.

    Returns:
        int64 (L,), ascending; fewer than `bins` if there are fewer lengths.
    """
    count = slots - least + 1
    bins = count if bins is None else min(bins, count)
    return torch.linspace(least, slots, bins, dtype=torch.float64).round().long() if bins > 1 else torch.tensor([slots])


def cost_curves(evaluate: Evaluate, rows: int, lengths: Tensor) -> Tensor:
    """Evaluate every row at every length.

    Returns:
        Costs (B, L), from which `shortest` finds the lengths for any threshold.

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
        Lengths int64 (B,), the last one where no cost is low enough, and bool (B,), whether a cost was low enough.
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

    If costs fall as prefixes grow, "full" and "binary" find the same length. Otherwise, "full" is right by definition.
    "binary" finds a length that meets the threshold while the next shorter one, if any, does not; it need not be the
    shortest such length, and there may be one even if none is found. "binned" finds the shortest of the lengths that it
    evaluates, which is never shorter than that of "full".

    Args:
        evaluate: Gives the costs. It is always called for all rows; a row that is done is evaluated again at its last
            length, which is not counted.
        rows: B.
        slots: M, the longest prefix, which is returned if the threshold is not met.
        threshold: The largest cost that is good enough: one number, or one per row (B,).
        how: See `How`. "full" needs M - least + 1 evaluations, "binned" at most `bins`, "binary" about log2(M), and
            "regressed" one, which only checks whether the guess is good enough.
        least: The shortest prefix, 0 or more.
        bins: Number of lengths that "binned" evaluates.
        start: A guess per row, int64 (B,). "regressed" takes it as it is; "binary" begins there and doubles its steps,
            which needs few evaluations if the guess is near.
        device: Device of the lengths that `evaluate` gets.

    Raises:
        ValueError: A number is out of range, a guess is missing or not expected, or a cost is not a number.
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
        elif start is not None:  # steps double until there are lengths on both sides of the answer
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
    """Threshold of each row, (B,)."""
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
