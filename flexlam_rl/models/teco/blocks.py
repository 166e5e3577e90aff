"""Layers of the convolutional networks.

Shapes: B pictures, C channels, h w grid.
"""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.nn.attention import Attention
from flexlam_rl.nn.param_groups import HiddenLayer
from flexlam_rl.nn.patch_embed import patchify, unpatchify


def norm(channels: int) -> nn.GroupNorm:
    """Make a group norm with at most 32 groups of channels."""
    return nn.GroupNorm(math.gcd(32, channels), channels)


def convolution(channels: int, width: int, stride: int = 1) -> nn.Conv2d:
    """Make a 3 x 3 convolution that keeps the size, or divides it by `stride`."""
    return nn.Conv2d(channels, width, 3, stride, 1)


class ResidualBlock(HiddenLayer):
    """Two convolutions, each after a norm and a SiLU, with a residual."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            norm(channels), nn.SiLU(), convolution(channels, width), norm(width), nn.SiLU(), convolution(width, width)
        )
        self.skip = nn.Identity() if channels == width else nn.Conv2d(channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Run the block on x (B, C, h, w); the result has `width` channels."""
        y: Tensor = self.skip(x) + self.convolutions(x)
        return y


class PlaceAttention(HiddenLayer):
    """Attention between all places of a picture, with a residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.attention = norm(channels), Attention(channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer on x (B, C, h, w): (B, C, h, w)."""
        places = self.norm(x).flatten(2).transpose(1, 2)
        y: Tensor = x + self.attention(places).transpose(1, 2).reshape(x.shape)
        return y


class Double(nn.Module):
    """Upsampling by two (nearest neighbor), followed by a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale, self.convolution = nn.Upsample(scale_factor=2, mode="nearest"), convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Upsample x (B, C, h, w): (B, C, 2 h, 2 w)."""
        y: Tensor = self.convolution(self.scale(x))
        return y


class PatchConv2d(nn.Conv2d):
    """Convolution over patches that do not overlap, as one product of matrices; torch's own convolution of this kind
    took a quarter of a training step on a CPU.
    """

    def __init__(self, channels: int, width: int, patch: int) -> None:
        super().__init__(channels, width, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, h, w) to one token per patch, (B, patches, width)."""
        return F.linear(patchify(x, self.stride[0]), self.weight.flatten(1), self.bias)


class PatchConvTranspose2d(nn.ConvTranspose2d):
    """Transposed convolution to patches that do not overlap, as one product of matrices."""

    def __init__(self, width: int, channels: int, patch: int) -> None:
        super().__init__(width, channels, patch, patch)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map tokens x (B, side side, width) to (B, C, h, w)."""
        size = math.isqrt(x.shape[1]) * self.stride[0]
        grid = unpatchify(x @ self.weight.flatten(1), self.stride[0], self.out_channels, size, size)
        assert self.bias is not None
        return grid + self.bias[:, None, None]


def down(
    channels: int, widths: Sequence[int], blocks: int, out: int, halvings: int, side: int, attention_side: int = 0
) -> nn.Sequential:
    """Make an encoder.

    Args:
        channels: Channels of the input.
        widths: Channels of each level.
        blocks: Residual blocks per level.
        out: Channels of the output.
        halvings: Number of first levels that halve the size.
        side: Side of the input.
        attention_side: Side at which attention follows each block; 0 for no attention.
    """
    layers: list[nn.Module] = [convolution(channels, widths[0])]
    before = widths[0]
    for level, width in enumerate(widths):
        for _ in range(blocks):
            layers.append(ResidualBlock(before, width))
            before = width
            if side == attention_side:
                layers.append(PlaceAttention(width))
        if level < halvings:
            layers.append(convolution(width, width, 2))
            side //= 2
    return nn.Sequential(*layers, norm(before), nn.SiLU(), convolution(before, out))


def up(
    channels: int, widths: Sequence[int], blocks: int, out: int, doublings: int, side: int, attention_side: int = 0
) -> nn.Sequential:
    """Make a decoder, the counterpart of `down`; `widths` are in the encoder's order, `side` is that of the input."""
    layers: list[nn.Module] = [convolution(channels, widths[-1])]
    before = widths[-1]
    for level, width in reversed(list(enumerate(widths))):
        if level < doublings:
            layers.append(Double(before))
            side *= 2
        for _ in range(blocks):
            layers.append(ResidualBlock(before, width))
            before = width
            if side == attention_side:
                layers.append(PlaceAttention(width))
    return nn.Sequential(*layers, norm(before), nn.SiLU(), convolution(before, out))
