"""Models from frames to actions without a bottleneck: inverse dynamics (paper, section 6.3) and behavior cloning.

Shapes: B batch, C H W frame.
"""

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.config import IDMConfig
from flexlam_rl.models.flexlam.encoder import TransitionEncoder
from flexlam_rl.nn.action_head import action_inputs, action_outputs, embed_actions
from flexlam_rl.nn.hourglass import Hourglass
from flexlam_rl.nn.patch_embed import frame_size
from flexlam_rl.nn.pretrained import PretrainedModel


class IDM(PretrainedModel):
    """Predicts actions from (o_t, o_t+1, a_t-1), by the LAM's encoder with one read-out token and the
    translator's MLP.
    """

    config_class = IDMConfig
    compiled_parts = ("encoder", "mlp")

    def __init__(self, config: IDMConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = TransitionEncoder(config.encoder, frame_size(config), config.channels, 1, config.encoder.width)
        inputs = config.encoder.width + action_inputs(config.actions)
        self.mlp = Hourglass(inputs, action_outputs(config.actions), config.depth, config.hidden, config.wide)

    def forward(self, obs: Tensor, next_obs: Tensor, previous: Tensor) -> Tensor:
        """Compute outputs (B, A + G) as a translator's, from two frames (B, C, H, W) and previous actions (B, dims)."""
        features = self.encoder(obs, next_obs)[:, 0]
        return self.mlp(torch.cat([features, embed_actions(previous, self.config.actions)], dim=-1))


class BehaviourCloning(IDM):
    """Predicts actions from (o_t, a_t-1) only: the IDM without a second frame. It is a policy by itself."""

    def forward(self, obs: Tensor, previous: Tensor) -> Tensor:  # type: ignore[override]
        """Compute outputs (B, A + G) as a translator's, from frames (B, C, H, W) and previous actions (B, dims)."""
        # the encoder takes the change between two frames, which is zero here
        return super().forward(obs, obs, previous)
