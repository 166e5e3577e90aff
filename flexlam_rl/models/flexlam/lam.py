"""The latent action model: encoder, quantizer, retained prefix, flow decoder.

Shapes: B batch, C H W frame, M slots, d numbers per slot, V codes.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.config import LAMConfig
from flexlam_rl.models.flexlam.decoder import build_decoder
from flexlam_rl.models.flexlam.encoder import TransitionEncoder
from flexlam_rl.models.interfaces import StepOutput
from flexlam_rl.models.pixel_model import PixelModel
from flexlam_rl.models.slot_model import StepLoss
from flexlam_rl.nn.flow_matching import sample_times
from flexlam_rl.nn.patch_embed import frame_size
from flexlam_rl.nn.prefix import PrefixDistribution, null_fill
from flexlam_rl.nn.slot_norm import SlotNorm
from flexlam_rl.nn.streams import Streams


class LAM(PixelModel):
    """FlexLAM (`config.prefix`) or a Fixed-K model, which differ in their configuration only."""

    config_class = LAMConfig
    compiled_parts = ("encoder", "decoder")
    error_name = "flow loss"

    def __init__(self, config: LAMConfig) -> None:
        super().__init__(config)
        dim = self.quantizer.dim
        if config.normalize and config.quantizer == "fsq":
            self.norm = SlotNorm(config.slots, dim)
        self.decoder = build_decoder(config.decoder, frame_size(config), config.channels, config.slots, dim)

    def build_encoder(self, out_dim: int) -> TransitionEncoder:
        """Make the two-frame ViT."""
        c = self.config
        return TransitionEncoder(c.encoder, frame_size(c), c.channels, c.slots, out_dim)

    @property
    def title(self) -> str:
        """Name of the method in tables."""
        return "FlexLAM" if self.config.prefix else "Fixed-K"

    prefix_slots = PixelModel.keep_prefix
    """Name of `keep_prefix` in version 0.1."""

    def forward(
        self,
        obs: Tensor,
        next_obs: Tensor,
        generator: torch.Generator,
        prefix_distribution: PrefixDistribution = "uniform",
    ) -> StepLoss:
        """Compute the loss of a training step on frames (B, C, H, W) each; all randomness comes from `generator`."""
        batch, flow = len(obs), self.config.decoder
        lengths = self.lengths(batch, generator, prefix_distribution)
        tau = sample_times(batch, generator, flow.noise_share, flow.tau_mean, flow.tau_std)
        noise = torch.randn(obs.shape, generator=generator, device=generator.device, dtype=torch.float32)
        quantized = self.quantize(obs, next_obs, generator)
        losses = self.decoder.loss(obs, next_obs, null_fill(quantized.vectors, lengths, self.null), tau, noise)
        return StepLoss(losses.mean() + quantized.loss, losses.detach(), lengths, quantized.usage)

    def loss(
        self,
        batch: Mapping[str, Tensor],
        generator: torch.Generator,
        prefix_distribution: PrefixDistribution = "uniform",
    ) -> StepOutput:
        """Compute the loss of a batch with "obs" and "next_obs" frames, (B, C, H, W) each."""
        out = self(batch["obs"], batch["next_obs"], generator, prefix_distribution)
        return StepOutput(out.loss, out.figures())

    def predict(self, obs: Tensor, slots: Tensor, noise: Tensor) -> Tensor:
        """Predict the velocity (B, C, H, W) at pure noise, where the slots are the only source of information about the
        next frame.
        """
        return self.decoder(noise, torch.zeros(len(obs), device=obs.device), obs, slots)

    def prediction_error(self, obs: Tensor, next_obs: Tensor, slots: Tensor, noise: Tensor) -> Tensor:
        """Compute the flow loss (B,) at pure noise."""
        return self.decoder.loss(obs, next_obs, slots, torch.zeros(len(obs), device=obs.device), noise)

    def sample(self, obs: Tensor, slots: Tensor, steps: int = 8, generator: Streams | None = None) -> Tensor:
        """Decode next frames, float (B, C, H, W), with Euler steps from noise."""
        return self.decoder.sample(obs, slots, steps, generator)
