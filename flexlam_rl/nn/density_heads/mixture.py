"""A mixture of normal distributions over all tokens together (LaMo, section 4.4.2, equation 12).

The component is drawn once for all positions ("turn left" or "turn right"), not per token. Given the component, numbers
are independent. Shapes: B examples, P positions, D numbers per feature, d numbers per token, k components.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from flexlam_rl.nn.density_heads.interface import DensityHead
from flexlam_rl.nn.sampling import choose

WIDEST = 4.0
"""Bound: logarithms of standard deviations lie in (-WIDEST, WIDEST)."""


class Mixture(NamedTuple):
    """Parameters of the distribution.

    Attributes:
        log_weights: (B, k).
        means: (B, k, P, d).
        log_stds: (B, k, P, d).
    """

    log_weights: Tensor
    means: Tensor
    log_stds: Tensor

    def log_prob(self, tokens: Tensor) -> Tensor:
        """Compute the joint log-density (B,) of tokens (B, P, d)."""
        scaled = (tokens[:, None] - self.means) * (-self.log_stds).exp()
        each = -0.5 * scaled.square() - self.log_stds - 0.5 * math.log(2 * math.pi)
        return (self.log_weights + each.flatten(2).sum(-1)).logsumexp(-1)


class MixtureHead(DensityHead):
    """Predicts mixture weights from the summary, and means and standard deviations from the features.

    Args:
        width: D.
        dim: d.
        components: k.
        entropy: Weight of the entropy of the mixture's weights, which training increases.
    """

    def __init__(self, width: int, dim: int, components: int, entropy: float) -> None:
        super().__init__()
        self.dim, self.components, self.entropy = dim, components, entropy
        self.logits = nn.Linear(width, components)
        self.tokens = nn.Linear(width, 2 * components * dim)

    def distribution(self, features: Tensor, summary: Tensor) -> Mixture:
        """Compute the distribution of tokens given features (B, P, D) and summary (B, D)."""
        parts = self.tokens(features).float().unflatten(-1, (2, self.components, self.dim))
        means, raw = parts.permute(2, 0, 3, 1, 4).unbind()
        return Mixture(self.logits(summary).float().log_softmax(-1), means, WIDEST * (raw / WIDEST).tanh())

    def losses(self, features: Tensor, summary: Tensor, target: Tensor, generator: torch.Generator) -> Tensor:
        """Compute negative log-density minus weighted entropy, divided by P d, (B,) (equation 13). Nothing is drawn."""
        found = self.distribution(features, summary)
        spread = -(found.log_weights.exp() * found.log_weights).sum(-1)
        return -(found.log_prob(target) + self.entropy * spread) / target[0].numel()

    def sample(
        self, features: Tensor, summary: Tensor, noise: Tensor, choice: Tensor | None = None, steps: int = 20
    ) -> Tensor:
        """Make tokens (B, P, d) of the component that `choice` picks: its means plus `noise` times its deviations.
        `steps` is not used.
        """
        found = self.distribution(features, summary)
        component = choose(found.log_weights, None, draws=choice)
        rows = torch.arange(len(component), device=component.device)
        return found.means[rows, component] + found.log_stds[rows, component].exp() * noise
