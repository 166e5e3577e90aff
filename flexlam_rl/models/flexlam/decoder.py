"""Rectified-flow DiT decoder: the next frame from the current one and a null-filled prefix (paper, sections 4.1 and
A.5).

With noise x0, next frame x1 and x_tau = (1 - tau) x0 + tau x1, the network estimates the velocity x1 - x0.
Shapes: B batch, C H W frame, N patches, M slots, D width, d numbers a slot.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.flexlam.config import DecoderConfig
from flexlam_rl.nn.blocks import ModulatedBlock, patchify, to_unit, unpatchify
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.utils.numbers import whole

# near tau = 1 a velocity formed from a predicted frame divides by 1 - tau
_LEAST_REST = 0.05


def sample_tau(batch: int, config: DecoderConfig, generator: torch.Generator) -> Tensor:
    """Times (B,) in [0, 1): a share at pure noise, the rest logit-normal (config)."""
    device = generator.device
    normal = torch.randn(batch, generator=generator, device=device, dtype=torch.float32)
    tau = torch.sigmoid(normal * config.tau_std + config.tau_mean)
    pure = torch.rand(batch, generator=generator, device=device, dtype=torch.float32) < config.noise_share
    return torch.where(pure, torch.zeros_like(tau), tau)


class FlowDecoder(nn.Module):
    """DiT whose tokens are the patches of (noisy next frame, current frame) and the M slots."""

    def __init__(self, config: DecoderConfig, image_size: int, channels: int, slots: int, slot_dim: int) -> None:
        super().__init__()
        if image_size % config.patch:
            raise ValueError(f"image size {image_size} is not a multiple of the decoder's patch {config.patch}.")
        self.config, self.image_size, self.channels = config, image_size, channels
        numbers = channels * config.patch**2
        patches = (image_size // config.patch) ** 2
        width = config.width
        self.embed = nn.Linear(2 * numbers, width)
        self.position = nn.Parameter(torch.randn(patches, width) * 0.02)
        self.slot_embed = nn.Linear(slot_dim, width)
        self.slot_position = nn.Parameter(torch.randn(slots, width) * 0.02)
        self.time = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.blocks = nn.ModuleList(ModulatedBlock(width, config.heads, config.ffn) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 2 * width)
        self.head = nn.Linear(width, numbers)
        for layer in (self.modulation, self.head):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, noisy: Tensor, tau: Tensor, current: Tensor, slots: Tensor) -> Tensor:
        """Velocity (B, C, H, W) at `noisy` (B, C, H, W) and `tau` (B,), given `current` (B, C, H, W) and null-filled
        `slots` (B, M, d).
        """
        current = to_unit(current)
        patch = self.config.patch
        x = self.embed(torch.cat([patchify(noisy, patch), patchify(current, patch)], dim=-1)) + self.position
        patches = x.shape[1]
        x = torch.cat([x, self.slot_embed(slots) + self.slot_position], dim=1)
        frequencies = torch.exp(torch.arange(32, device=tau.device, dtype=torch.float32) * (-math.log(1000.0) / 31))
        angles = tau.float()[:, None] * 1000.0 * frequencies
        condition = self.time(torch.cat([angles.sin(), angles.cos()], dim=-1).to(x.dtype))
        for block in self.blocks:
            x = block(x, condition)
        shift, scale = self.modulation(condition).unsqueeze(1).chunk(2, dim=-1)
        x = self.head(self.norm(x[:, :patches]) * (1 + scale) + shift)
        out = unpatchify(x, patch, self.channels, self.image_size, self.image_size)
        if self.config.predict == "velocity":
            return out
        rest = (1.0 - tau.float()).clamp_min(_LEAST_REST)[:, None, None, None]
        return (current + out - noisy) / rest

    def loss(self, current: Tensor, following: Tensor, slots: Tensor, tau: Tensor, noise: Tensor) -> Tensor:
        """Flow loss of each example, (B,): mean squared error of the velocity over C, H, W.

        Where the network predicts the frame, the error of the frame is used (the velocity's error times 1 - tau), so
        that examples near tau = 1 do not outweigh the others.
        """
        target_frame = to_unit(following)
        at = tau[:, None, None, None]
        noisy = (1 - at) * noise + at * target_frame
        velocity = self(noisy, tau, current, slots)
        error = (velocity - (target_frame - noise)).float()
        if self.config.predict == "frame":
            error = error * (1.0 - at).clamp_min(_LEAST_REST)
        return error.square().mean(dim=(1, 2, 3))

    @in_own_modes
    def sample(
        self, current: Tensor, slots: Tensor, steps: int = 8, generator: torch.Generator | None = None
    ) -> Tensor:
        """Decode next frames with Euler steps from noise.

        Args:
            current: (B, C, H, W), uint8 or float in [-1, 1].
            slots: Null-filled (B, M, d).
            steps: Euler steps, at least 1.
            generator: Stream of the noise; the same seed gives the same frames.

        Returns:
            Float (B, C, H, W), about [-1, 1].
        """
        steps = whole(steps, "steps", 1)
        shape = current.shape
        device = current.device
        source = generator.device if generator else device
        x = torch.randn(shape, generator=generator, device=source, dtype=torch.float32).to(device)
        for i in range(steps):
            tau = torch.full((shape[0],), i / steps, device=device, dtype=torch.float32)
            x = x + self(x, tau, current, slots) / steps
        return x


def peak_signal_to_noise(a: Tensor, b: Tensor) -> Tensor:
    """PSNR in dB of each example, for frames in [-1, 1]: (B, C, H, W) twice to (B,)."""
    error = F.mse_loss(a.clamp(-1, 1).float(), b.float(), reduction="none").mean(dim=(1, 2, 3))
    return 10.0 * torch.log10(4.0 / error.clamp_min(1e-10))
