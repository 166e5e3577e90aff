"""Continuous latent actions.

Shapes: `...` any leading dimensions, `d` numbers per slot.
"""

import math

import torch
from torch import Tensor

from flexlam_rl.nn.quantizers.interface import Quantized, Quantizer
from flexlam_rl.utils.numbers import real, whole


class Gaussian(Quantizer):
    """Normal distribution per number, kept near the standard normal (beta-VAE, Higgins et al., 2017).

    The encoder gives means and logarithms of variances. In training, latent actions are drawn from the distribution;
    without a generator, they are its mean.

    Args:
        dim: d.
        beta: Weight of the KL divergence to the standard normal, in nats: a sum over the numbers of a slot, averaged
            over slots.
    """

    def __init__(self, dim: int = 4, beta: float = 2e-4) -> None:
        super().__init__()
        self.dim, self.codes, self.beta = whole(dim, "dim", 1), None, real(beta, "beta")

    @property
    def inputs(self) -> int:
        """Two per number: its mean and the logarithm of its variance."""
        return 2 * self.dim

    def forward(self, z: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """Draw latent actions (..., d) from encoder outputs z (..., 2 d); see `Quantizer`."""
        mean, log_variance = z.chunk(2, dim=-1)
        nats = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1).mean()
        vectors = mean
        if generator is not None:
            drawn = torch.randn(mean.shape, generator=generator, device=generator.device, dtype=mean.dtype)
            vectors = mean + (0.5 * log_variance).exp() * drawn
        return Quantized(vectors, None, self.beta * nats, nats.detach() / math.log(2))


class Identity(Quantizer):
    """No bottleneck except the number of dimensions: the encoder's vectors are not changed.

    Args:
        dim: d.
    """

    def __init__(self, dim: int = 4) -> None:
        super().__init__()
        self.dim, self.codes = whole(dim, "dim", 1), None

    def forward(self, z: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """Return z (..., d) unchanged, as vectors; see `Quantizer`."""
        return Quantized(z, None, torch.zeros((), dtype=torch.float32, device=z.device))
