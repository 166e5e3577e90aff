"""Patch tokens of a frame from a few convolutions, instead of one linear map per patch.

Small transformers learn to see in fewer steps this way ("Early Convolutions Help Transformers See Better", Xiao et al.,
2021). The paper's sequence model embeds patches linearly; this stem is for the small presets. See docs/sequence.md for
its effect.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.nn.patch_embed import Size, patchify

CELL = 4
"""Pixels along a side of the cells that the first layer, a linear one, sees; a convolution over three channels would be
slow on a CPU for the little that it does.
"""
CELL_WIDTH = 64
"""Numbers per cell, more than its 48 pixel values, so that nothing is lost before the first convolution."""


class ConvStem(nn.Module):
    """Linear layer on small cells, then convolutions that halve the grid until one position stands for a patch.

    A token sees almost a patch's width to each side of its patch's first pixel. Where the number of cells along a side
    is odd, the last cells make a token by themselves.

    Args:
        channels: Channels of the picture.
        width: D, the width of tokens and of every convolution.
        patch: Pixels along a side of a patch: `cell` times a power of two, at least two.
        cell: Pixels along a side of a cell.

    Raises:
        ValueError: `patch` is not such a number.
    """

    def __init__(self, channels: int, width: int, patch: int, cell: int = CELL) -> None:
        super().__init__()
        halvings = (patch // cell).bit_length() - 1
        if patch < 2 * cell or patch != cell << halvings:
            raise ValueError(f"patch is {patch}; a convolutional stem needs a power of two from {2 * cell} on.")
        self.cell = cell
        self.cells = nn.Linear(channels * cell**2, CELL_WIDTH)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(CELL_WIDTH if i == 0 else width, width, 3, 2, 1) for i in range(halvings)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Turn images (B, C, H, W) in [-1, 1] into tokens (B, N, D), row by row as `patchify` orders patches."""
        x = cells(images, self.cell, self.cells)
        for convolution in self.convolutions:
            x = convolution(F.gelu(x))
        return x.flatten(2).transpose(1, 2)


def cells(images: Tensor, cell: int, layer: nn.Module) -> Tensor:
    """Map images (B, C, H, W) to (B, D, H / cell, W / cell), with a layer that sees the pixels of one cell."""
    rows, columns = images.shape[-2] // cell, images.shape[-1] // cell
    # a linear layer leaves the channels last in memory, where convolutions are fast on a CPU
    x: Tensor = layer(patchify(images, cell))
    return x.unflatten(1, (rows, columns)).permute(0, 3, 1, 2)


def halved(size: Size, times: int = 1) -> Size:
    """Compute height and width after convolutions of stride 2, each of which rounds up."""
    height, width = size
    for _ in range(times):
        height, width = (height + 1) // 2, (width + 1) // 2
    return height, width
