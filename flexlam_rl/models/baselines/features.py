"""Frozen visual features: a baseline that learns nothing from video.

Shapes: B batch, C H W frame.
"""

import torch
from torch import Tensor, nn

from flexlam_rl.models.flexlam.config import FeatureConfig
from flexlam_rl.nn.action_head import action_inputs, action_outputs, embed_actions
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.hourglass import Hourglass
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.vision import FEATURES, frozen_features


class FeatureTranslator(PretrainedModel):
    """The translator's MLP on the previous action and, instead of slots, the change of frozen features."""

    config_class = FeatureConfig
    compiled_parts = ("mlp",)

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        self.features = frozen_features(config.channels, config.seed)
        # random features have no fixed scale; the norm scales the MLP's inputs to about 1
        self.norm = nn.LayerNorm(FEATURES)
        inputs = FEATURES + action_inputs(config.actions)
        self.mlp = Hourglass(inputs, action_outputs(config.actions), config.depth, config.hidden, config.wide)

    def forward(self, obs: Tensor, next_obs: Tensor, previous: Tensor) -> Tensor:
        """Compute outputs (B, A + G) as a translator's, from two frames (B, C, H, W) and previous actions (B, dims)."""
        change = self.features(to_unit(next_obs)) - self.features(to_unit(obs))
        return self.mlp(torch.cat([self.norm(change.flatten(1)), embed_actions(previous, self.config.actions)], dim=-1))
