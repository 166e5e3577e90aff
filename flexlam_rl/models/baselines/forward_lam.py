"""Latent action models with an inverse and a forward model of pixels: LAPO (Schmidt and Jiang, 2024) with a codebook,
AdaWorld's latent action autoencoder (Gao et al., 2025) with a Gaussian.

z = Q(E(o_t, o_t+1)); the loss is the mean squared error of F(o_t, z) against o_t+1, plus the quantizer's. Shapes: B
batch, C H W frame, N patches, M slots, d numbers per slot.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from flexlam_rl.models.baselines.config import ForwardLAMConfig
from flexlam_rl.models.baselines.forward_model import pixel_forward_model
from flexlam_rl.models.flexlam.encoder import TransitionEncoder
from flexlam_rl.models.interfaces import StepOutput
from flexlam_rl.models.pixel_model import PixelModel
from flexlam_rl.models.slot_model import StepLoss
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.patch_embed import frame_size
from flexlam_rl.nn.prefix import PrefixDistribution, null_fill
from flexlam_rl.nn.streams import Streams


class ForwardLAM(PixelModel):
    """FlexLAM's encoder, any quantizer, and a forward model that predicts the next frame in one pass."""

    config_class = ForwardLAMConfig
    compiled_parts = ("encoder", "forward_model")
    error_name = "squared error of the frame"

    def __init__(self, config: ForwardLAMConfig) -> None:
        super().__init__(config)
        self.forward_model = pixel_forward_model(
            config.forward, frame_size(config), config.channels, config.slots, self.quantizer.dim
        )

    def build_encoder(self, out_dim: int) -> TransitionEncoder:
        """Make the two-frame ViT, which is FlexLAM's."""
        c = self.config
        return TransitionEncoder(c.encoder, frame_size(c), c.channels, c.slots, out_dim)

    @property
    def title(self) -> str:
        """Name of the method in tables: LAPO if it has codes, otherwise AdaWorld."""
        return "AdaWorld" if self.latent.codes is None else "LAPO"

    def predict(self, obs: Tensor, slots: Tensor, noise: Tensor | None = None) -> Tensor:
        """Predict the next frame, float (B, C, H, W), about in [-1, 1]; `noise` is not used."""
        return self.forward_model(to_unit(obs), slots)

    def prediction_error(self, obs: Tensor, next_obs: Tensor, slots: Tensor, noise: Tensor | None = None) -> Tensor:
        """Compute the mean squared error of each example over C, H, W, (B,), for frames in [-1, 1]."""
        return (self.predict(obs, slots) - to_unit(next_obs)).float().square().mean(dim=(1, 2, 3))

    def sample(self, obs: Tensor, slots: Tensor, steps: int = 1, generator: Streams | None = None) -> Tensor:
        """Predict the next frame, in one pass."""
        return self.predict(obs, slots)

    def forward(
        self,
        obs: Tensor,
        next_obs: Tensor,
        generator: torch.Generator,
        prefix_distribution: PrefixDistribution = "uniform",
    ) -> StepLoss:
        """Compute the loss of a training step on frames (B, C, H, W) each; all randomness comes from `generator`."""
        lengths = self.lengths(len(obs), generator, prefix_distribution)
        quantized = self.quantize(obs, next_obs, generator)
        losses = self.prediction_error(obs, next_obs, null_fill(quantized.vectors, lengths, self.null))
        return StepLoss(losses.mean() + quantized.loss, losses.detach(), lengths, quantized.usage)

    def loss(self, batch: Mapping[str, Tensor], generator: torch.Generator) -> StepOutput:
        """Compute the loss of a batch with "obs" and "next_obs" frames, (B, C, H, W) each."""
        out = self(batch["obs"], batch["next_obs"], generator)
        return StepOutput(out.loss, out.figures())
