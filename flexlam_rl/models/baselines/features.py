"""Frozen visual features: the baseline in which nothing was learned from video.

Shapes: B batch, C H W frame, F features.
"""

import torch
from torch import Tensor, nn

from flexlam_rl.models.flexlam.config import FeatureConfig
from flexlam_rl.models.flexlam.translator import Hourglass, action_inputs, action_outputs, embed_actions
from flexlam_rl.nn.blocks import to_unit
from flexlam_rl.nn.pretrained import PretrainedModel


def frozen_features(channels: int, seed: int) -> nn.Sequential:
    """A convolutional net with random orthogonal weights that never train; C x 64 x 64 to 32 x 4 x 4 numbers.

    Random convolutions keep where something is and which way it changes, need no download, and are the same everywhere.
    """
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(channels, 32, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(64, 32, 3, 1, 1),
        nn.AdaptiveAvgPool2d(4),
    )
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            nn.init.orthogonal_(layer.weight, gain=2**0.5, generator=generator)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return net.requires_grad_(False)


class FeatureTranslator(PretrainedModel):
    """The translator's MLP on the change of frozen features, in place of slots, and the previous action."""

    config_class = FeatureConfig
    heavy = ("mlp",)

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        self.features = frozen_features(config.channels, config.seed)
        # random features have no scale of their own; the norm gives the MLP inputs of about 1
        self.norm = nn.LayerNorm(32 * 16)
        inputs = 32 * 16 + action_inputs(config.actions)
        self.mlp = Hourglass(inputs, action_outputs(config.actions), config.depth, config.hidden, config.wide)

    def forward(self, current: Tensor, following: Tensor, previous: Tensor) -> Tensor:
        """Outputs (B, A + G) as a translator's, from frames (B, C, H, W) twice and previous actions (B, dims)."""
        change = self.features(to_unit(following)) - self.features(to_unit(current))
        return self.mlp(torch.cat([self.norm(change.flatten(1)), embed_actions(previous, self.config.actions)], dim=-1))
