"""Frozen visual encoders.

Shapes: C H W frame.
"""

import torch
from torch import nn

FEATURES = 32 * 16
"""Number of features that `frozen_features` gives for a frame."""


def frozen_features(channels: int, seed: int) -> nn.Sequential:
    """Make a convolutional net with random orthogonal frozen weights, from C x 64 x 64 to 32 x 4 x 4 numbers.

    Random convolutions preserve where things are and which way they change, need no download, and are the same
    everywhere.
    """
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(channels, 32, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(64, 32, 3, 1, 1),
        nn.AdaptiveAvgPool2d(4),
    )
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            nn.init.orthogonal_(layer.weight, gain=2**0.5, generator=generator)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return net.requires_grad_(False)
