"""Layers of the VQ-VAE: convolutions over time and space, and residual blocks that attend along each axis.

Shapes: B clips, C channels, t h w grid.
"""

import torch
from torch import Tensor, nn

from flexlam_rl.nn.attention import Attention
from flexlam_rl.nn.param_groups import HiddenLayer

Size = tuple[int, int, int]


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels at each place of x (B, C, t, h, w)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize x (B, C, t, h, w) over its channels."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class AxialPositions(nn.Module):
    """Learned positions along time, height and width, which are added; all axial layers of a model share them.

    Args:
        width: C.
        grid: t, h, w; t is 0 if frames do not see each other.
    """

    def __init__(self, width: int, grid: Size) -> None:
        super().__init__()
        self.axes = nn.ParameterList([nn.Parameter(torch.randn(width, n) * 0.02) for n in grid if n])
        self.timeless = not grid[0]

    def forward(self, x: Tensor) -> Tensor:
        """Add the positions to x (B, C, t, h, w)."""
        for i, axis in enumerate(self.axes):
            place = i + 1 if self.timeless else i
            shape = [1, len(axis), 1, 1, 1]
            shape[2 + place] = axis.shape[1]
            x = x + axis.view(shape)
        return x


class AxialAttention(nn.Module):
    """Attention along each axis separately, with the results added (Ho et al., 2019).

    Args:
        width: C.
        heads: Heads of each attention.
        over_time: Whether time is one of the axes.
    """

    def __init__(self, width: int, heads: int, over_time: bool) -> None:
        super().__init__()
        self.dims = (2, 3, 4) if over_time else (3, 4)
        self.attentions = nn.ModuleList(Attention(width, heads) for _ in self.dims)

    def forward(self, x: Tensor, positions: AxialPositions) -> Tensor:
        """Run the attention on x (B, C, t, h, w): (B, C, t, h, w)."""
        x = positions(x)
        parts = []
        for dim, attention in zip(self.dims, self.attentions, strict=True):
            # the axis becomes the sequence, and all others become rows
            lines = x.movedim((dim, 1), (-2, -1))
            parts.append(attention(lines.flatten(0, 2)).view(lines.shape).movedim((-2, -1), (dim, 1)))
        return torch.stack(parts).sum(0)


class ResidualBlock(HiddenLayer):
    """Two convolutions and axial attention, each after a norm and a ReLU, with a residual (figure 2.4).

    Args:
        width: C.
        units: Channels between the convolutions.
        heads: Heads of the attention; 0 leaves it out.
        over_time: Whether the block sees other frames.
    """

    def __init__(self, width: int, units: int, heads: int, over_time: bool) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            ChannelNorm(width),
            nn.ReLU(),
            convolution(width, units, over_time=over_time),
            ChannelNorm(units),
            nn.ReLU(),
            nn.Conv3d(units, width, 1),
        )
        self.norm = nn.Sequential(ChannelNorm(width), nn.ReLU()) if heads else None
        self.attention = AxialAttention(width, heads, over_time) if heads else None

    def forward(self, x: Tensor, positions: AxialPositions | None) -> Tensor:
        """Run the block on x (B, C, t, h, w): (B, C, t, h, w)."""
        y = self.convolutions(x)
        if self.norm is not None and self.attention is not None:
            assert positions is not None
            y = self.attention(self.norm(y), positions)
        return x + y


def convolution(channels: int, width: int, stride: Size = (1, 1, 1), over_time: bool = True) -> nn.Conv3d:
    """Make a convolution of size 3 along each axis (table A.1), or of size 1 along time; `stride` divides the size."""
    time = 3 if over_time else 1
    return nn.Conv3d(channels, width, (time, 3, 3), stride, (time // 2, 1, 1))


def transposed(channels: int, width: int, stride: Size, over_time: bool = True) -> nn.ConvTranspose3d:
    """Make the counterpart of `convolution`, with size 4 along the axes that it doubles (table A.1)."""
    time, height, across = (4 if step == 2 else 3 for step in stride)
    if not over_time:
        time = 1
    padding = ((time - 1) // 2, (height - 1) // 2, (across - 1) // 2)
    return nn.ConvTranspose3d(channels, width, (time, height, across), stride, padding)


def strides(down_time: int, down_space: int) -> list[Size]:
    """Give the strides of the convolutions from pixels to the grid; each halves the axes that are still too long."""
    halvings = max(down_time, down_space).bit_length() - 1

    def step(down: int, i: int) -> int:
        return 2 if down >> (i + 1) else 1

    return [(step(down_time, i), step(down_space, i), step(down_space, i)) for i in range(halvings)]
