"""Attention masks over codes: all earlier ones, or the local and strided parts of a Sparse Transformer.

Codes are in raster order: time, then rows, then columns, then codebooks. Shapes: L codes, t h w grid, n codebooks.
"""

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=64)
def causal_masks(
    grid: tuple[int, int, int], codebooks: int, sparse: bool, local: int, device: str = "cpu"
) -> tuple[Tensor, ...]:
    """Make masks bool (L, L), true where a row sees a column, that layers use in turn.

    Place i holds code i - 1 and predicts code i, so a place may see itself and all earlier ones.

    Args:
        grid: t, h, w.
        codebooks: n.
        sparse: Make two masks, after Child et al. (2019): the last `local` places; and the places in the same column of
            the grid, in this frame and all earlier ones. Two layers together reach every earlier place.
        local: Number of places back, including the place itself; at least a row.
        device: Device of the masks.
    """
    t, h, w = grid
    order = torch.arange(t * h * w * codebooks, device=device)
    before = order[:, None] >= order[None, :]
    if not sparse:
        return (before,)
    column = order // codebooks % w
    near = order[:, None] - order[None, :] < max(local, w * codebooks)
    return before & near, before & (column[:, None] == column[None, :])
