"""Distances between pictures in the features of a frozen network.

Shapes: B pictures, C H W picture, F features.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.nn.vision import frozen_features

Maps = Callable[[Tensor], Sequence[Tensor]]
"""Function from pictures (B, C, H, W) in [-1, 1] to feature maps (B, F, h, w) of several layers."""


def network_maps(name: str, channels: int) -> Maps:
    """Make the feature maps of a network.

    Args:
        name: "random" for fixed random convolutions, which need no file (`frozen_features`), or "torchscript:PATH" for
            a file of your own that maps pictures in [-1, 1] to a list of feature maps. Such a file is a program: open
            only files that you trust.
        channels: C.

    Raises:
        ValueError: There is no network of that name, or the file cannot be read.
    """
    kind, _, path = name.partition(":")
    if kind == "random" and not path:
        layers = list(frozen_features(channels, 0))[:4]

        def maps(frames: Tensor) -> list[Tensor]:
            x, found = frames, []
            for layer in layers:
                x = layer.to(x.device)(x)
                if isinstance(layer, nn.ReLU):
                    found.append(x)
            return found

        return maps
    if kind == "torchscript" and path:
        try:
            net = torch.jit.load(path, map_location="cpu").eval()
        except (RuntimeError, ValueError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"{path} cannot be read as TorchScript: {reason}.") from None
        return lambda frames: net.to(frames.device)(frames)
    raise ValueError(f"perceptual is {name!r}; expected 'random' or 'torchscript:PATH'.")


def perceptual_distance(maps: Maps, one: Tensor, other: Tensor) -> Tensor:
    """Compute the mean squared distance of unit feature vectors over all places, summed over layers: a scalar."""
    pairs = zip(maps(one), maps(other), strict=True)
    parts = [(F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1).mean() for a, b in pairs]
    return torch.stack(parts).sum()
