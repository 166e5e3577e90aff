"""What a model takes as frames."""

import torch
from torch import Tensor


def check_frames(frames: Tensor, channels: int, size: int) -> None:
    """Refuse what is no batch of frames: uint8, or float in [-1, 1], (B, C, H, W).

    Raises:
        ValueError: Another shape or type, or values outside the range.
    """
    if (
        frames.ndim != 4
        or frames.shape[1:] != (channels, size, size)
        or not (frames.dtype == torch.uint8 or frames.is_floating_point())
    ):
        found = f"shape {tuple(frames.shape)} and type {frames.dtype}"
        raise ValueError(f"Frames have {found}; expected (B, {channels}, {size}, {size}), uint8 or float in [-1, 1].")
    if frames.is_floating_point() and frames.numel() and not bool((frames.abs() <= 1.0).all()):  # NaN is in no range
        raise ValueError(
            f"Float frames lie in {float(frames.min())}..{float(frames.max())}; expected [-1, 1], or uint8 frames."
        )
