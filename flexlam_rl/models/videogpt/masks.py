"""Which codes a code sees: all before it, or the local and strided parts of a Sparse Transformer.

Codes are in raster order: time, then rows, then columns, then codebooks. Shapes: L codes, t h w grid, n codebooks.
"""

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=64)
def causal_masks(
    grid: tuple[int, int, int], codebooks: int, sparse: bool, local: int, device: str = "cpu"
) -> tuple[Tensor, ...]:
    """Masks bool (L, L), row sees column, that layers take turns with.

    Place i holds code i - 1 and predicts code i, so a place may see itself and all before it.

    Args:
        grid: t, h, w.
        codebooks: n.
        sparse: Two masks, after Child et al. (2019): the last `local` places; and the places in the same column of the
            grid, in this frame and all earlier ones. Two layers together reach every earlier place.
        local: Places back, this one included; at least a row.
        device: Where the masks lie.
    """
    t, h, w = grid
    order = torch.arange(t * h * w * codebooks, device=device)
    before = order[:, None] >= order[None, :]
    if not sparse:
        return (before,)
    column = order // codebooks % w
    near = order[:, None] - order[None, :] < max(local, w * codebooks)
    return before & near, before & (column[:, None] == column[None, :])
