"""Decoder from states to pixels: a separate transformer, trained on a frozen Midway (LaMo, section 4.6).

The paper says that it reconstructs the next frame, but its equation pairs a state with its own frame, as is done here.
Shapes: B frames, C H W frame, L levels, N patches, D width.
"""

from typing import Self

import torch
from torch import Tensor, nn

from flexlam_rl.models.interfaces import StepOutput
from flexlam_rl.models.lamo.config import PixelDecoderConfig
from flexlam_rl.models.lamo.midway import Midway
from flexlam_rl.nn.frames import to_bytes, to_unit
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.patch_embed import frame_size, unpatchify
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.transformer import Block


class PixelDecoder(PretrainedModel):
    """A frozen Midway, and a decoder from its states to pixels."""

    config_class = PixelDecoderConfig

    def __init__(self, config: PixelDecoderConfig) -> None:
        super().__init__()
        self.config = config
        own = config.midway
        self.midway = Midway(own).requires_grad_(False).eval()
        self.enter = nn.Linear(own.levels * own.width, config.width)
        self.position = nn.Parameter(torch.randn(own.patches, config.width) * 0.02)
        self.layers = nn.ModuleList(Block(config.width, config.heads, config.hidden) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.leave = nn.Linear(config.width, own.channels * own.patch**2)

    def train(self, mode: bool = True) -> Self:
        """Set the decoder's mode; Midway stays in evaluation mode."""
        super().train(mode)
        self.midway.eval()
        return self

    def forward(self, state: Tensor) -> Tensor:
        """Decode states (B, L, N, D) to frames (B, C, H, W), about in [-1, 1]."""
        own = self.config.midway
        x = self.enter(state.transpose(1, 2).flatten(2)) + self.position
        for layer in self.layers:
            x = layer(x)
        return unpatchify(self.leave(self.norm(x)), own.patch, own.channels, *frame_size(own))

    def loss(self, frames: Tensor) -> StepOutput:
        """Compute the mean squared error of frames (B, C, H, W) that are decoded from their own states."""
        state = self.midway.states(frames)[:, :-1]
        error = (self(state).float() - to_unit(frames)).square().mean()
        return StepOutput(error, {})

    @in_own_modes
    def decode(self, state: Tensor) -> Tensor:
        """Decode states (B, L, N, D) to frames, uint8 (B, C, H, W)."""
        return to_bytes(self(state))
