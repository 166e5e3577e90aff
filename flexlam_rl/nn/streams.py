"""Random numbers from one stream for a whole batch, or from one stream per row.

With one per row, a row's numbers depend on no other row: a batch of worlds then plays what each would play alone.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

Streams = torch.Generator | Sequence[torch.Generator]
"""A generator for all rows, or one for each."""


def normal(shape: Sequence[int], streams: Streams | None, device: torch.device) -> Tensor:
    """Draw standard normal numbers, float32 `shape`, its first dimension the rows, on `device`.

    Args:
        shape: (B, ...).
        streams: Where they are drawn; None for torch's own generator.
        device: Where they go; a generator of another device draws there.

    Raises:
        ValueError: There is not one stream for each row.
    """
    if not isinstance(streams, Sequence):
        source = device if streams is None else streams.device
        return torch.randn(tuple(shape), generator=streams, device=source, dtype=torch.float32).to(device)
    _one_each(streams, shape[0])
    rows = [torch.randn(tuple(shape[1:]), generator=g, device=g.device, dtype=torch.float32) for g in streams]
    return torch.stack(rows).to(device)


def uniform(shape: Sequence[int], streams: Streams, device: torch.device) -> Tensor:
    """Draw uniform numbers in [0, 1), float32 `shape` (B, ...), as `normal` does.

    Raises:
        ValueError: There is not one stream for each row.
    """
    if not isinstance(streams, Sequence):
        return torch.rand(tuple(shape), generator=streams, device=streams.device).to(device)
    _one_each(streams, shape[0])
    return torch.stack([torch.rand(tuple(shape[1:]), generator=g, device=g.device) for g in streams]).to(device)


def uniform_rows(streams: Sequence[torch.Generator], count: int, device: torch.device) -> Tensor:
    """Draw `count` uniform numbers in [0, 1), float32 (`count`,), an equal part of them from each stream in turn.

    Raises:
        ValueError: The streams cannot have equal parts.
    """
    if not streams or count % len(streams):
        raise ValueError(f"There are {len(streams)} streams for {count} numbers; expected an equal part for each.")
    each = count // len(streams)
    return torch.cat([torch.rand(each, generator=g, device=g.device) for g in streams]).to(device)


def _one_each(streams: Sequence[torch.Generator], rows: int) -> None:
    if len(streams) != rows:
        raise ValueError(f"There are {len(streams)} streams for {rows} rows; expected one for each.")
