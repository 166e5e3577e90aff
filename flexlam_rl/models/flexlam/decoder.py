"""Rectified-flow decoders: the next frame from the current one and a null-filled prefix (paper, sections 4.1 and
A.5).

The network predicts the velocity from noise to the next frame (`nn.flow_matching`), or the next frame itself.
Shapes: B batch, C H W frame, N patches, M slots, D width, d numbers per slot.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from flexlam_rl.models.flexlam.config import DecoderConfig
from flexlam_rl.nn.dit import FREQUENCIES, ModulatedBlock, time_features
from flexlam_rl.nn.flow_matching import integrate, over_examples
from flexlam_rl.nn.frames import peak_signal_to_noise as peak_signal_to_noise
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.patch_embed import Size, patch_count, patchify, unpatchify
from flexlam_rl.nn.streams import Streams, normal
from flexlam_rl.nn.unet import MotionUNet
from flexlam_rl.utils.numbers import whole

# a velocity that is computed from a predicted frame is divided by 1 - tau, which must not become too small
_LEAST_REST = 0.05


class FlowDecoder(nn.Module, ABC):
    """Base of decoders: the loss and the integration of a velocity that a subclass predicts."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def estimate(self, noisy: Tensor, tau: Tensor, obs: Tensor, slots: Tensor) -> Tensor:
        """Predict the velocity or the next frame, as `config.predict` says, (B, C, H, W); `obs` is in [-1, 1], the
        other arguments are as for `forward`.
        """

    def forward(self, noisy: Tensor, tau: Tensor, obs: Tensor, slots: Tensor) -> Tensor:
        """Predict the velocity (B, C, H, W) at `noisy` (B, C, H, W) and `tau` (B,), given `obs` (B, C, H, W) and
        null-filled
        `slots` (B, M, d).
        """
        out = self.estimate(noisy, tau, to_unit(obs), slots)
        if self.config.predict == "velocity":
            return out
        rest = over_examples((1.0 - tau.float()).clamp_min(_LEAST_REST), noisy)
        return (out - noisy) / rest

    def loss(self, obs: Tensor, next_obs: Tensor, slots: Tensor, tau: Tensor, noise: Tensor) -> Tensor:
        """Compute the flow loss of each example, (B,): mean squared error of the velocity over C, H, W.

        If the network predicts the frame, the loss is the error of the frame (the velocity's error times 1 - tau), so
        that examples near tau = 1 do not outweigh the others.
        """
        target_frame = to_unit(next_obs)
        at = over_examples(tau, target_frame)
        noisy = (1 - at) * noise + at * target_frame
        velocity = self(noisy, tau, obs, slots)
        error = (velocity - (target_frame - noise)).float()
        if self.config.predict == "frame":
            error = error * (1.0 - at).clamp_min(_LEAST_REST)
        return error.square().mean(dim=(1, 2, 3))

    @in_own_modes
    def sample(self, obs: Tensor, slots: Tensor, steps: int = 8, generator: Streams | None = None) -> Tensor:
        """Decode next frames with Euler steps from noise.

        Args:
            obs: (B, C, H, W), uint8 or float in [-1, 1].
            slots: Null-filled (B, M, d).
            steps: Euler steps, at least 1.
            generator: Random stream of the noise, or one per row; the same seed gives the same frames.

        Returns:
            Frames (B, C, H, W) as floats, about in [-1, 1].
        """
        steps = whole(steps, "steps", 1)
        noise = normal(obs.shape, generator, obs.device)
        return integrate(lambda x, tau: self(x, tau, obs, slots), noise, steps)


class TransformerDecoder(FlowDecoder):
    """DiT whose tokens are the patches of (noisy next frame, current frame) and the M slots."""

    def __init__(self, config: DecoderConfig, size: Size, channels: int, slots: int, slot_dim: int) -> None:
        super().__init__(config)
        self.size, self.channels = size, channels
        numbers = channels * config.patch**2
        patches = patch_count(size, config.patch, "decoder")
        width = config.width
        self.embed = nn.Linear(2 * numbers, width)
        self.position = nn.Parameter(torch.randn(patches, width) * 0.02)
        self.slot_embed = nn.Linear(slot_dim, width)
        self.slot_position = nn.Parameter(torch.randn(slots, width) * 0.02)
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.blocks = nn.ModuleList(ModulatedBlock(width, config.heads, config.ffn) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 2 * width)
        self.head = nn.Linear(width, numbers)
        for layer in (self.modulation, self.head):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def estimate(self, noisy: Tensor, tau: Tensor, obs: Tensor, slots: Tensor) -> Tensor:
        """Predict the velocity, or the next frame as a change to the current one."""
        patch = self.config.patch
        x = self.embed(torch.cat([patchify(noisy, patch), patchify(obs, patch)], dim=-1)) + self.position
        patches = x.shape[1]
        x = torch.cat([x, self.slot_embed(slots) + self.slot_position], dim=1)
        condition = self.time(time_features(tau).to(x.dtype))
        for block in self.blocks:
            x = block(x, condition)
        shift, scale = self.modulation(condition).unsqueeze(1).chunk(2, dim=-1)
        x = self.head(self.norm(x[:, :patches]) * (1 + scale) + shift)
        out = unpatchify(x, patch, self.channels, *self.size)
        return out if self.config.predict == "velocity" else obs + out


class MotionDecoder(FlowDecoder):
    """U-Net over cells of (noisy next frame, current frame) that moves pixels of the current frame."""

    def __init__(self, config: DecoderConfig, size: Size, channels: int, slots: int, slot_dim: int) -> None:
        super().__init__(config)
        width = config.width
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.network = MotionUNet(
            size, 2 * channels, channels, config.patch, width, config.depth, config.heads, config.ffn, slots, slot_dim
        )

    def estimate(self, noisy: Tensor, tau: Tensor, obs: Tensor, slots: Tensor) -> Tensor:
        """Predict the next frame."""
        condition = self.time(time_features(tau).to(noisy.dtype))
        return self.network(torch.cat([noisy, obs], dim=1), obs, slots, condition)


def build_decoder(config: DecoderConfig, size: Size, channels: int, slots: int, slot_dim: int) -> FlowDecoder:
    """Make the decoder of a configuration."""
    kind = MotionDecoder if config.kind == "motion" else TransformerDecoder
    return kind(config, size, channels, slots, slot_dim)
