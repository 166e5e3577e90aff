"""The small convolutional network of policies that are trained in minutes.

Shapes: B batch, C H W frame, F features.
"""

from typing import Literal

from torch import nn

Vision = Literal["coarse", "fine"]
"""Size of the first kernels: 8x8 at a stride of 4, as in the DQN (Mnih et al., 2015), or 3x3 at a stride of 2, which
also tell things apart that are three pixels large.
"""
SMALLEST = 36
"""Smallest height and width, in pixels, at which the convolutions leave one position."""


def check_size(height: int, width: int) -> None:
    """Refuse frames that are too small for the convolutions.

    Raises:
        ValueError: The frames are smaller than `SMALLEST`.
    """
    if min(height, width) < SMALLEST:
        raise ValueError(f"Frames are {width}x{height}; expected {SMALLEST} pixels or more.")


def convolutions(
    channels: int, first: int, height: int, width: int, vision: Vision = "coarse"
) -> tuple[nn.Sequential, int]:
    """Make three convolutions that map frames (B, C, H, W) to features (B, F).

    Args:
        channels: C.
        first: Channels of the first convolution; the others have twice as many.
        height, width: H and W, at least `SMALLEST` each.
        vision: Size of the kernels; "fine" takes about 2.5 times as long.

    Returns:
        The layers, and F.

    Raises:
        ValueError: The frames are too small.
    """
    check_size(height, width)
    shapes = {"coarse": ((8, 4, 0), (4, 2, 0), (3, 1, 0)), "fine": ((3, 2, 1),) * 3}[vision]
    layers, sides, given = list[nn.Module](), [height, width], channels
    for number, (kernel, stride, padding) in enumerate(shapes):
        made = first if number == 0 else 2 * first
        layers += [nn.Conv2d(given, made, kernel, stride, padding), nn.ReLU()]
        sides, given = [(side + 2 * padding - kernel) // stride + 1 for side in sides], made
    return nn.Sequential(*layers, nn.Flatten()), given * sides[0] * sides[1]
