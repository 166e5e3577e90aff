"""Normalization of numbers to mean 0 and variance 1, as noise and heads expect them.

Shapes: B examples, `...` the dimensions that have a scale of their own.
"""

import torch
from torch import Tensor, nn

SMALLEST = 1e-3


class Scale(nn.Module):
    """Mean and standard deviation of each number, which are part of the checkpoint.

    Args:
        shape: Shape of an example; numbers along dimensions of size 1 share their scale.
    """

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("deviation", torch.ones(shape))
        self.mean: Tensor
        self.deviation: Tensor

    @torch.no_grad()
    def fit(self, examples: Tensor) -> None:
        """Set the scale from examples (B, ...). Standard deviations are at least `SMALLEST`."""
        shared = (0, *(i + 1 for i, size in enumerate(self.mean.shape) if size == 1))
        values = examples.double()
        self.mean.copy_(values.mean(shared, keepdim=True)[0])
        deviation = values.var(shared, correction=0, keepdim=True)[0].sqrt()
        self.deviation.copy_(deviation.clamp_min(SMALLEST))

    def enter(self, x: Tensor) -> Tensor:
        """Normalize to mean 0 and variance 1."""
        return (x - self.mean) / self.deviation

    def leave(self, x: Tensor) -> Tensor:
        """Undo the normalization."""
        return x * self.deviation + self.mean
