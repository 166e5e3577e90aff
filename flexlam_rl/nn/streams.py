"""Random numbers from one stream for a whole batch, or from one stream per row.

With one stream per row, a row's numbers do not depend on other rows: each world of a batch plays as it would alone.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

Streams = torch.Generator | Sequence[torch.Generator]
"""One generator for all rows, or one per row."""


def normal(shape: Sequence[int], streams: Streams | None, device: torch.device) -> Tensor:
    """Draw standard normal numbers, float32 `shape`, with the rows as first dimension, on `device`.

    Args:
        shape: (B, ...).
        streams: The generators; None for torch's own.
        device: Device of the result; a generator of another device draws there.

    Raises:
        ValueError: The number of streams is not that of rows.
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
        ValueError: The number of streams is not that of rows.
    """
    if not isinstance(streams, Sequence):
        return torch.rand(tuple(shape), generator=streams, device=streams.device).to(device)
    _one_each(streams, shape[0])
    return torch.stack([torch.rand(tuple(shape[1:]), generator=g, device=g.device) for g in streams]).to(device)


def uniform_rows(streams: Sequence[torch.Generator], count: int, device: torch.device) -> Tensor:
    """Draw `count` uniform numbers in [0, 1), float32 (`count`,), with an equal part from each stream in turn.

    Raises:
        ValueError: `count` cannot be divided equally among the streams.
    """
    if not streams or count % len(streams):
        raise ValueError(f"There are {len(streams)} streams for {count} numbers; expected an equal part for each.")
    each = count // len(streams)
    return torch.cat([torch.rand(each, generator=g, device=g.device) for g in streams]).to(device)


def _one_each(streams: Sequence[torch.Generator], rows: int) -> None:
    if len(streams) != rows:
        raise ValueError(f"There are {len(streams)} streams for {rows} rows; expected one for each.")
