"""Conditional flow matching per token: an MLP modulated by time and feature (LaMo, section 4.4.1; Li et al., 2024).

Tokens are independent of each other given their features. Shapes: B examples, P positions, D numbers per feature, d
numbers per token, H width of the MLP.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.nn.density_heads.interface import DensityHead
from flexlam_rl.nn.dit import FREQUENCIES, time_features
from flexlam_rl.nn.flow_matching import integrate, over_examples
from flexlam_rl.nn.param_groups import HiddenLayer
from flexlam_rl.nn.transformer import MLP


class ModulatedMLP(HiddenLayer):
    """Residual MLP whose scale, shift and gate come from a condition; gates start at 0."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.norm, self.mlp = nn.LayerNorm(hidden, elementwise_affine=False), MLP(hidden, hidden)
        self.modulation = nn.Linear(hidden, 3 * hidden)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Run x (B, P, H) under a condition (B, P, H), to which the activation is already applied."""
        shift, scale, gate = self.modulation(condition).chunk(3, dim=-1)
        return x + gate * self.mlp(self.norm(x) * (1 + scale) + shift)


class FlowHead(DensityHead):
    """Predicts the velocity of a straight path from noise to the token.

    Args:
        width: D.
        dim: d.
        hidden: H.
        blocks: Number of residual blocks.
    """

    def __init__(self, width: int, dim: int, hidden: int, blocks: int) -> None:
        super().__init__()
        self.dim = dim
        self.enter, self.context = nn.Linear(dim, hidden), nn.Linear(width, hidden)
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.blocks = nn.ModuleList(ModulatedMLP(hidden) for _ in range(blocks))
        self.norm = nn.LayerNorm(hidden, elementwise_affine=False)
        self.modulation = nn.Linear(hidden, 2 * hidden)
        self.leave = nn.Linear(hidden, dim)
        for layer in (self.modulation, self.leave):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def velocity(self, x: Tensor, tau: Tensor, context: Tensor) -> Tensor:
        """Compute velocities (B, P, d).

        Args:
            x: Points on the paths, (B, P, d).
            tau: Times (B,) in [0, 1].
            context: Features after `self.context`, (B, P, H), which are the same at all times.
        """
        condition = F.silu(context + self.time(time_features(tau))[:, None])
        x = self.enter(x)
        for block in self.blocks:
            x = block(x, condition)
        shift, scale = self.modulation(condition).chunk(2, dim=-1)
        return self.leave(self.norm(x) * (1 + scale) + shift)

    def losses(self, features: Tensor, summary: Tensor, target: Tensor, generator: torch.Generator) -> Tensor:
        """Compute the mean squared error (B,) of the velocity, with one time per example and noise per number.
        `summary` is not used.
        """
        device = generator.device
        noise = torch.randn(target.shape, generator=generator, device=device, dtype=torch.float32)
        tau = torch.rand(len(target), generator=generator, device=device, dtype=torch.float32)
        at = over_examples(tau, target)
        found = self.velocity((1 - at) * noise + at * target, tau, self.context(features))
        return (found.float() - (target - noise)).square().flatten(1).mean(1)

    def sample(
        self, features: Tensor, summary: Tensor, noise: Tensor, choice: Tensor | None = None, steps: int = 20
    ) -> Tensor:
        """Make tokens (B, P, d) by `steps` equal Euler steps from `noise`; `summary` and `choice` are not used."""
        context = self.context(features)
        return integrate(lambda x, tau: self.velocity(x, tau, context).float(), noise, steps)
