"""What heads of continuous tokens have in common.

Shapes: B examples, P positions, D numbers per feature, d numbers per token.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class DensityHead(nn.Module, ABC):
    """The distribution of P tokens of d numbers each, from one feature per token and a summary of all."""

    dim: int

    @abstractmethod
    def losses(self, features: Tensor, summary: Tensor, target: Tensor, generator: torch.Generator) -> Tensor:
        """Compute what training lowers, per number of a token.

        Args:
            features: (B, P, D).
            summary: (B, D).
            target: (B, P, d), near mean 0 and variance 1.
            generator: All randomness of the step.

        Returns:
            (B,).
        """

    @abstractmethod
    def sample(
        self, features: Tensor, summary: Tensor, noise: Tensor, choice: Tensor | None = None, steps: int = 20
    ) -> Tensor:
        """Make tokens (B, P, d).

        Args:
            features: (B, P, D).
            summary: (B, D).
            noise: (B, P, d), standard normal; zeros for the most typical tokens.
            choice: Uniform in [0, 1), (B,), for what all positions share; None for the likeliest.
            steps: Of heads that refine noise in steps.
        """
