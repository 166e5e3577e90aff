"""Frames as models take and give them.

Shapes: B batch, C H W frame.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.nn.patch_embed import Size


def to_unit(frames: Tensor) -> Tensor:
    """Convert uint8 frames to float in [-1, 1]; float frames are returned unchanged."""
    return frames.float().div_(127.5).sub_(1.0) if frames.dtype == torch.uint8 else frames


def to_bytes(frames: Tensor) -> Tensor:
    """Convert float frames in [-1, 1] to uint8; values outside are clipped."""
    return ((frames.float() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)


def peak_signal_to_noise(a: Tensor, b: Tensor) -> Tensor:
    """Compute the PSNR in dB of each example, for two batches of frames (B, C, H, W) in [-1, 1]: (B,)."""
    error = F.mse_loss(a.clamp(-1, 1).float(), b.float(), reduction="none").mean(dim=(1, 2, 3))
    return 10.0 * torch.log10(4.0 / error.clamp_min(1e-10))


def check_frames(frames: Tensor, channels: int, size: Size) -> None:
    """Refuse anything but a batch of frames (B, C, H, W), uint8 or float in [-1, 1].

    Raises:
        ValueError: The shape or type differs, or values are outside the range.
    """
    if (
        frames.ndim != 4
        or frames.shape[1:] != (channels, *size)
        or not (frames.dtype == torch.uint8 or frames.is_floating_point())
    ):
        found = f"shape {tuple(frames.shape)} and type {frames.dtype}"
        raise ValueError(
            f"Frames have {found}; expected (B, {channels}, {size[0]}, {size[1]}), uint8 or float in [-1, 1]."
        )
    if frames.is_floating_point() and frames.numel() and not bool((frames.abs() <= 1.0).all()):  # also refuses NaN
        raise ValueError(
            f"Float frames lie in {float(frames.min())}..{float(frames.max())}; expected [-1, 1], or uint8 frames."
        )
