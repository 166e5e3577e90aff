"""Rectified flow: a straight line from noise x0 to data x1, x_tau = (1 - tau) x0 + tau x1, with velocity x1 - x0.

Shapes: B batch, `...` the shape of one example.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def sample_times(batch: int, generator: torch.Generator, pure_noise: float, mean: float, std: float) -> Tensor:
    """Draw times (B,) in [0, 1): a share at pure noise (tau = 0), the others logit-normal.

    Args:
        batch: B.
        generator: Explicit random stream; the times are on its device.
        pure_noise: Share of examples at tau = 0.
        mean, std: Parameters of the others, sigmoid(N(mean, std)).
    """
    device = generator.device
    normal = torch.randn(batch, generator=generator, device=device, dtype=torch.float32)
    tau = torch.sigmoid(normal * std + mean)
    pure = torch.rand(batch, generator=generator, device=device, dtype=torch.float32) < pure_noise
    return torch.where(pure, torch.zeros_like(tau), tau)


def over_examples(tau: Tensor, like: Tensor) -> Tensor:
    """Reshape times (B,) to (B, 1, ...), to be multiplied with `like` (B, ...)."""
    return tau.reshape(-1, *[1] * (like.ndim - 1))


def integrate(velocity: Callable[[Tensor, Tensor], Tensor], noise: Tensor, steps: int) -> Tensor:
    """Integrate from noise to data in equal Euler steps.

    Args:
        velocity: Function from points (B, ...) and times (B,) to velocities (B, ...).
        noise: x0, (B, ...).
        steps: Number of steps, at least 1.

    Returns:
        Approximation of x1, (B, ...).
    """
    x = noise
    for i in range(steps):
        tau = torch.full((len(x),), i / steps, device=x.device, dtype=torch.float32)
        x = x + velocity(x, tau) / steps
    return x
