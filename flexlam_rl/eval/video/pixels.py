"""Similarity of pictures, pixel by pixel; complexity of a picture; and likelihoods in bits.

Shapes: B pictures, C H W picture; values in [-1, 1].
"""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.nn.frames import peak_signal_to_noise, to_unit

__all__ = ["bits_per_dimension", "edge_strength", "normalised_error", "peak_signal_to_noise", "structural_similarity"]

_WINDOW = 11
_CHUNK = 64
"""Number of pictures whose SSIM is computed at once."""


def structural_similarity(a: Tensor, b: Tensor) -> Tensor:
    """Compute the SSIM of each pair of pictures, (B,), at most 1, with the constants and the 11-pixel Gaussian window
    of Wang et al. (2004).

    Channels are compared one by one and averaged; only windows that lie wholly inside the picture count.

    Args:
        a, b: Pictures, (B, C, H, W), at least 11 pixels high and wide; they are clipped to [-1, 1].

    Raises:
        ValueError: The pictures are smaller.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    if min(a.shape[-2:]) < _WINDOW:
        size = f"{a.shape[-1]}x{a.shape[-2]}"
        raise ValueError(f"Pictures are {size}; SSIM needs {_WINDOW} pixels or more on each side.")
    a, b = a.clamp(-1, 1).float(), b.clamp(-1, 1).float()
    options: dict[str, Any] = {"sigma": 1.5, "kernel_size": _WINDOW, "data_range": 2.0, "return_full_image": True}
    edge = _WINDOW // 2  # removes windows that the library fills with mirrored pixels
    found = []
    # thousands of pictures at once would need tens of gigabytes on a CPU
    for first, second in zip(a.split(_CHUNK), b.split(_CHUNK), strict=True):
        windows = structural_similarity_index_measure(first, second, reduction="none", **options)[1]
        found.append(windows[..., edge:-edge, edge:-edge].mean(dim=(1, 2, 3)))
    return torch.cat(found)


def normalised_error(a: Tensor, b: Tensor, variance: float) -> Tensor:
    """Compute the NMSE of each pair, (B,): the mean squared error as a share of the variance of the data's values.

    It is about 1 for predicting the data's mean everywhere (VideoGPT, section 2.3, where it is also the loss).

    Args:
        a, b: Pictures, (B, C, H, W).
        variance: Variance of the values of the data, on the same scale.

    Raises:
        ValueError: The variance is not a number above 0.
    """
    if not 0.0 < variance < math.inf:
        raise ValueError(f"variance is {variance}; expected that of the data, above 0.")
    return F.mse_loss(a.float(), b.float(), reduction="none").flatten(1).mean(1) / variance


def edge_strength(pictures: Tensor) -> Tensor:
    """Compute the complexity of each picture, (B,): the mean magnitude of the Sobel gradient of its gray values in
    [0, 1] (ElasticTok, section 4.3).

    Args:
        pictures: Pictures, (B, C, H, W), uint8 or in [-1, 1].
    """
    from scipy.ndimage import correlate1d

    gray = ((to_unit(pictures).float().mean(1) + 1.0) / 2.0).double().cpu().numpy()
    # not SciPy's sobel, which would mix the pictures
    across, down = (
        correlate1d(correlate1d(gray, [-1, 0, 1], axis=axis), [1, 2, 1], axis=other)
        for axis, other in ((-1, -2), (-2, -1))
    )
    strength = np.hypot(across, down).mean(axis=(-2, -1))
    return torch.from_numpy(strength).to(pictures.device)


def bits_per_dimension(log_prob: Tensor, dimensions: int) -> Tensor:
    """Convert log-likelihoods to bits per dimension.

    Args:
        log_prob: Natural logarithm of the probability of each example, any shape.
        dimensions: Number of values in an example: its codes for bits per code, or its pixel values.

    Raises:
        ValueError: `dimensions` is below 1.
    """
    if dimensions < 1:
        raise ValueError(f"dimensions is {dimensions}; expected at least 1.")
    return -log_prob / (dimensions * math.log(2.0))
