"""Distances on the features of a named extractor: perceptual, between pictures; Fréchet, between sets.

Shapes: N clips, T frames, B pictures, C H W picture, F features. Frames are uint8, or float in [-1, 1].
"""

import torch
from torch import Tensor

from flexlam_rl.eval.video.extractors import Extractor
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.modes import in_own_modes

_CHUNK = 64
"""Number of pictures per pass of a network."""


@in_own_modes
def perceptual_distance(extractor: Extractor, a: Tensor, b: Tensor) -> Tensor:
    """Compute the perceptual distance of each pair of pictures, (B,), which is 0 for equal ones.

    At each position of each layer, features are scaled to length 1; squared differences are averaged over positions and
    then over layers. This is the form of LPIPS (Zhang et al., 2018) without its learned weights and on another network,
    so that the numbers cannot be compared with LPIPS.

    Args:
        extractor: Extractor that gives maps.
        a, b: Pictures, (B, C, H, W).

    Raises:
        ValueError: The shapes differ, or the extractor gives no maps.
    """
    _alike(a, b)
    found = []
    for first, second in zip(a.split(_CHUNK), b.split(_CHUNK), strict=True):
        one, other = (to_unit(x).to(extractor.device) for x in (first, second))
        layers = zip(extractor.maps(one), extractor.maps(other), strict=True)
        gaps = [(_directions(x) - _directions(y)).square().sum(1).mean(dim=(1, 2)) for x, y in layers]
        found.append(torch.stack(gaps).mean(0))
    return torch.cat(found).cpu()


@in_own_modes
def clip_vectors(extractor: Extractor, clips: Tensor) -> Tensor:
    """Compute the features of clips (N, T, C, H, W) that a Fréchet distance compares.

    Args:
        extractor: Extractor: one of clips gives one vector per clip, (N, F); one of pictures gives one vector per
            frame, (N * T, F).
        clips: The clips.
    """
    if extractor.clips:
        parts = clips.split(max(1, _CHUNK // clips.shape[1]))
    else:
        parts = clips.flatten(0, 1).split(_CHUNK)
    return torch.cat([extractor.vectors(to_unit(part).to(extractor.device)).cpu() for part in parts])


def motion(vectors: Tensor, frames: int) -> Tensor:
    """Compute how the features of frames change from each frame to the next, (N * (T - 1), F).

    Sets of the same pictures in another order then differ.

    Args:
        vectors: Features of the frames of clips, (N * T, F).
        frames: T.

    Raises:
        ValueError: Clips of one frame have no motion.
    """
    if frames < 2:
        raise ValueError(f"Motion is asked for in clips of {frames} frame; expected two or more.")
    return vectors.unflatten(0, (-1, frames)).diff(dim=1).flatten(0, 1)


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Compute the squared Fréchet distance between the normal distributions fitted to two sets of vectors, (n, F) and
    (m, F).

    With fewer vectors than features it is too large, so that only distances of sets of equal sizes can be compared.

    Raises:
        ValueError: A set has fewer than two vectors, or the sets have different numbers of features.
    """
    if min(len(a), len(b)) < 2 or a.shape[1:] != b.shape[1:]:
        raise ValueError(f"Sets of shapes {tuple(a.shape)} and {tuple(b.shape)}; expected two vectors or more in each.")
    a, b = a.double(), b.double()
    means = (a.mean(0) - b.mean(0)).square().sum()
    # for covariances X'X and Y'Y, the trace of the root of their product is the sum of the singular values of XY'
    roots = [torch.linalg.qr((x - x.mean(0)) / (len(x) - 1) ** 0.5, mode="r").R for x in (a, b)]
    shared = torch.linalg.svdvals(roots[0] @ roots[1].T).sum()
    spread = sum(root.square().sum() for root in roots)
    return float((means + spread - 2.0 * shared).clamp_min(0.0))


def _directions(features: Tensor) -> Tensor:
    return features / features.norm(dim=1, keepdim=True).clamp_min(1e-10)


def _alike(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        raise ValueError(f"Pictures of shapes {tuple(a.shape)} and {tuple(b.shape)} cannot be compared one by one.")
