"""How alike two pictures are.

Shapes: B pictures, C H W; values in [-1, 1].
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.nn.frames import peak_signal_to_noise

__all__ = ["peak_signal_to_noise", "structural_similarity"]

_WINDOW, _SIGMA = 11, 1.5


def structural_similarity(a: Tensor, b: Tensor) -> Tensor:
    """SSIM of each pair of pictures, (B,), at most 1, with the constants and the 11-pixel Gaussian window of Wang et
    al. (2004).

    Colours are compared channel by channel and averaged; only windows that lie wholly inside the picture count.

    Args:
        a: (B, C, H, W), at least 11 pixels high and wide; clipped to [-1, 1].
        b: Likewise.
    """
    a, b = a.clamp(-1, 1).double(), b.clamp(-1, 1).double()
    at = torch.arange(_WINDOW, dtype=torch.float64, device=a.device) - _WINDOW // 2
    line = torch.exp(-(at**2) / (2 * _SIGMA**2))
    line = line / line.sum()
    channels = a.shape[1]
    kernel = (line[:, None] * line[None, :]).expand(channels, 1, -1, -1)

    def blur(x: Tensor) -> Tensor:
        return F.conv2d(x, kernel, groups=channels)

    mean_a, mean_b = blur(a), blur(b)
    variance_a, variance_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    # the range of values is 2
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    alike = (
        (2 * mean_a * mean_b + c1)
        * (2 * covariance + c2)
        / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))
    )
    return alike.mean(dim=(1, 2, 3)).float()
