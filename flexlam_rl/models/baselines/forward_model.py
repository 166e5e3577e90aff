"""Forward models: predict the next state from the current state and the slots, without noise.

Shapes: B batch, C H W frame, N tokens of a state, D width, M slots, d numbers per slot.
"""

import torch
from torch import Tensor, nn

from flexlam_rl.models.baselines.config import ForwardConfig
from flexlam_rl.nn.patch_embed import Size, patch_count, patchify, unpatchify
from flexlam_rl.nn.transformer import Block
from flexlam_rl.nn.unet import MotionUNet


class ForwardModel(nn.Module):
    """Transformer over the tokens of a state and the slots, which predicts the change of each token.

    Its head starts at zero, so an untrained model predicts no change.

    Args:
        config: Sizes.
        tokens: N.
        numbers: Numbers of each token, in the input and in the output.
        slots: M.
        slot_dim: d.
    """

    def __init__(self, config: ForwardConfig, tokens: int, numbers: int, slots: int, slot_dim: int) -> None:
        super().__init__()
        self.embed = nn.Linear(numbers, config.width)
        self.position = nn.Parameter(torch.randn(tokens, config.width) * 0.02)
        self.slot_embed = nn.Linear(slot_dim, config.width)
        self.slot_position = nn.Parameter(torch.randn(slots, config.width) * 0.02)
        self.blocks = nn.ModuleList(Block(config.width, config.heads, config.ffn) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, numbers)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, state: Tensor, slots: Tensor) -> Tensor:
        """Predict the next state (B, N, numbers) from a state (B, N, numbers) and null-filled slots (B, M, d)."""
        x = torch.cat([self.embed(state) + self.position, self.slot_embed(slots) + self.slot_position], dim=1)
        for block in self.blocks:
            x = block(x)
        return state + self.head(self.norm(x[:, : state.shape[1]]))


class PatchForwardModel(ForwardModel):
    """Forward model on patches of frames."""

    def __init__(self, config: ForwardConfig, size: Size, channels: int, slots: int, slot_dim: int) -> None:
        numbers = channels * config.patch**2
        super().__init__(config, patch_count(size, config.patch, "forward model"), numbers, slots, slot_dim)
        self.patch, self.size, self.channels = config.patch, size, channels

    def forward(self, obs: Tensor, slots: Tensor) -> Tensor:
        """Predict the next frames (B, C, H, W) from frames (B, C, H, W) in [-1, 1] and null-filled slots (B, M, d)."""
        return unpatchify(super().forward(patchify(obs, self.patch), slots), self.patch, self.channels, *self.size)


class MotionForwardModel(MotionUNet):
    """Forward model that is FlexLAM's U-Net on the current frame."""

    def __init__(self, config: ForwardConfig, size: Size, channels: int, slots: int, slot_dim: int) -> None:
        c = config
        super().__init__(size, channels, channels, c.patch, c.width, c.depth, c.heads, c.ffn, slots, slot_dim)

    def forward(self, obs: Tensor, slots: Tensor) -> Tensor:  # type: ignore[override]
        """Predict the next frames (B, C, H, W) from frames (B, C, H, W) in [-1, 1] and null-filled slots (B, M, d)."""
        return super().forward(obs, obs, slots)


def pixel_forward_model(
    config: ForwardConfig, size: Size, channels: int, slots: int, slot_dim: int
) -> PatchForwardModel | MotionForwardModel:
    """Make the forward model of frames that a configuration describes."""
    kind = MotionForwardModel if config.kind == "motion" else PatchForwardModel
    return kind(config, size, channels, slots, slot_dim)
