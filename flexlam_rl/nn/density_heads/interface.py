"""Interface of heads that model continuous tokens.

Shapes: B examples, P positions, D numbers per feature, d numbers per token.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class DensityHead(nn.Module, ABC):
    """Models the distribution of P tokens of d numbers each, given one feature per token and a summary of all."""

    dim: int

    @abstractmethod
    def losses(self, features: Tensor, summary: Tensor, target: Tensor, generator: torch.Generator) -> Tensor:
        """Compute the loss that training minimizes, per number of a token.

        Args:
            features: (B, P, D).
            summary: (B, D).
            target: True tokens (B, P, d), with mean near 0 and variance near 1.
            generator: Source of all randomness of the step.

        Returns:
            Loss of each example (B,).
        """

    @abstractmethod
    def sample(
        self, features: Tensor, summary: Tensor, noise: Tensor, choice: Tensor | None = None, steps: int = 20
    ) -> Tensor:
        """Sample tokens (B, P, d).

        Args:
            features: (B, P, D).
            summary: (B, D).
            noise: (B, P, d), standard normal; zeros for the most typical tokens.
            choice: Uniform numbers in [0, 1), (B,), for what all positions share; None for the likeliest.
            steps: Number of steps, for heads that refine noise step by step.
        """
