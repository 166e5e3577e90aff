"""The small convolutional network of policies that are trained in minutes.

Shapes: B batch, C H W frame, F features.
"""

from torch import nn

SMALLEST = 36
"""Smallest height and width, in pixels, at which the convolutions leave one position."""


def check_size(height: int, width: int) -> None:
    """Refuse frames that are too small for the convolutions.

    Raises:
        ValueError: The frames are smaller than `SMALLEST`.
    """
    if min(height, width) < SMALLEST:
        raise ValueError(f"Frames are {width}x{height}; expected {SMALLEST} pixels or more.")


def convolutions(channels: int, first: int, height: int, width: int) -> tuple[nn.Sequential, int]:
    """Make three convolutions that map frames (B, C, H, W) to features (B, F).

    Args:
        channels: C.
        first: Channels of the first convolution; the others have twice as many.
        height, width: H and W, at least `SMALLEST` each.

    Returns:
        The layers, and F.

    Raises:
        ValueError: The frames are too small.
    """
    check_size(height, width)
    layers = nn.Sequential(
        nn.Conv2d(channels, first, 8, 4),
        nn.ReLU(),
        nn.Conv2d(first, 2 * first, 4, 2),
        nn.ReLU(),
        nn.Conv2d(2 * first, 2 * first, 3),
        nn.ReLU(),
        nn.Flatten(),
    )
    rows, columns = (((size - 8) // 4 + 1 - 4) // 2 + 1 - 2 for size in (height, width))
    return layers, 2 * first * rows * columns
