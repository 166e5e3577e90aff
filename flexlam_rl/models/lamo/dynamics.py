"""Inverse and forward models of one level.

Shapes: B transitions, N patches, D width, S motion tokens, m numbers per motion token.
"""

import torch
from torch import Tensor, nn

from flexlam_rl.models.lamo.config import MidwayConfig
from flexlam_rl.models.lamo.encoder import normed
from flexlam_rl.nn.transformer import Block


def _layers(config: MidwayConfig) -> nn.ModuleList:
    return nn.ModuleList(Block(config.width, config.heads, config.hidden) for _ in range(config.dynamics_depth))


class InverseModel(nn.Module):
    """Infers the motion that the level above has not explained, by learned tokens beside its prediction and the
    state.
    """

    def __init__(self, config: MidwayConfig) -> None:
        super().__init__()
        width = config.width
        self.tokens = nn.Parameter(torch.randn(config.tokens, width) * 0.02)
        self.position = nn.Parameter(torch.randn(2, config.patches, width) * 0.02)
        self.above, self.here = nn.Linear(width, width), nn.Linear(width, width)
        self.layers, self.norm = _layers(config), nn.LayerNorm(width)
        self.leave = nn.Linear(width, config.motion_dim)

    def forward(self, above: Tensor, here: Tensor) -> Tensor:
        """Compute the residual motion (B, S, m).

        Args:
            above: The next state as the level above predicts it, (B, N, D).
            here: The next state at this level, (B, N, D).
        """
        tokens = self.tokens.expand(len(here), -1, -1)
        x = torch.cat([tokens, self.above(above) + self.position[0], self.here(here) + self.position[1]], dim=1)
        for layer in self.layers:
            x = layer(x)
        return self.leave(self.norm(x[:, : tokens.shape[1]]))


class ForwardModel(nn.Module):
    """Predicts the next state from the current one and motion. A gate determines how much of a token each layer keeps,
    at first nearly all, because most of a picture does not change from one frame to the next.
    """

    def __init__(self, config: MidwayConfig) -> None:
        super().__init__()
        width = config.width
        self.motion = nn.Linear(config.motion_dim, width)
        self.tokens = nn.Parameter(torch.randn(config.tokens, width) * 0.02)
        self.position = nn.Parameter(torch.randn(config.patches, width) * 0.02)
        self.layers = _layers(config)
        self.gates = nn.ModuleList(nn.Linear(width, width) for _ in range(config.dynamics_depth))
        for gate in self.gates:
            assert isinstance(gate, nn.Linear)
            nn.init.zeros_(gate.weight)
            nn.init.constant_(gate.bias, config.gate)

    def forward(self, state: Tensor, motion: Tensor) -> Tensor:
        """Compute the next state (B, N, D).

        Args:
            state: (B, N, D).
            motion: (B, S, m).
        """
        x = torch.cat([self.motion(motion) + self.tokens, state + self.position], dim=1)
        for layer, gate in zip(self.layers, self.gates, strict=True):
            kept = gate(x).sigmoid()
            x = kept * x + (1 - kept) * layer(x)
        return normed(x[:, motion.shape[1] :])
