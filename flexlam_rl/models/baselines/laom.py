"""LAOM (Nikulin et al., 2025): a latent action model that predicts its own features instead of pixels.

h = f(o), z = I(h_t, h_t+k) with k ~ Uniform{1..horizon}; the loss is the mean squared error of F(h_t, z) against
g(o_t+1), where g is a moving average of f that gets no gradient. There is no quantizer. After training, z is inferred
from o_t and o_t+1. Shapes: B batch, C H W frame, N patches, D width, M slots, d numbers per slot.
"""

import copy
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.baselines.config import LAOMConfig
from flexlam_rl.models.baselines.forward_model import ForwardModel
from flexlam_rl.models.flexlam.config import EncoderConfig
from flexlam_rl.models.flexlam.encoder import frame_tokens
from flexlam_rl.models.interfaces import StepOutput
from flexlam_rl.models.slot_model import SlotModel, StepLoss
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.patch_embed import Size, frame_size
from flexlam_rl.nn.prefix import PrefixDistribution, null_fill
from flexlam_rl.nn.transformer import Block


def _blocks(config: EncoderConfig, depth: int) -> nn.ModuleList:
    hidden = int(config.mlp_ratio * config.width)
    return nn.ModuleList(Block(config.width, config.heads, hidden) for _ in range(depth))


class FrameEncoder(nn.Module):
    """ViT of one frame. Each token has mean 0 and variance 1, so the loss cannot be reduced by shrinking features."""

    def __init__(self, config: EncoderConfig, size: Size, channels: int) -> None:
        super().__init__()
        self.width = config.width
        self.embed, patches = frame_tokens(config, size, channels)
        self.position = nn.Parameter(torch.randn(patches, config.width) * 0.02)
        self.blocks = _blocks(config, config.depth)

    def forward(self, frames: Tensor) -> Tensor:
        """Encode frames (B, C, H, W) as features (B, N, D)."""
        x = self.embed(to_unit(frames)) + self.position
        for block in self.blocks:
            x = block(x)
        return F.layer_norm(x.float(), (self.width,))


class InverseModel(nn.Module):
    """Transformer over slot tokens and the features of two frames (the second as a change); reads the slot
    tokens out.
    """

    def __init__(self, config: EncoderConfig, depth: int, size: Size, channels: int, slots: int, out_dim: int) -> None:
        super().__init__()
        self.frames = FrameEncoder(config, size, channels)
        self.join = nn.Linear(2 * config.width, config.width)
        self.position = nn.Parameter(torch.randn(len(self.frames.position), config.width) * 0.02)
        self.slot_tokens = nn.Parameter(torch.randn(slots, config.width) * 0.02)
        self.blocks = _blocks(config, depth)
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, out_dim)

    def between(self, now: Tensor, then: Tensor) -> Tensor:
        """Infer (B, M, d) from the features of two frames, (B, N, D) each."""
        tokens = self.join(torch.cat([now, then - now], dim=-1)) + self.position
        x = torch.cat([self.slot_tokens.expand(len(tokens), -1, -1).to(tokens.dtype), tokens], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, : len(self.slot_tokens)]))

    def forward(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """Infer (B, M, d) from two frames, (B, C, H, W) each."""
        return self.between(self.frames(obs), self.frames(next_obs))


class LAOM(SlotModel):
    """Inverse and forward model of the features of a frame encoder that is trained with them."""

    config_class = LAOMConfig
    compiled_parts = ("encoder", "forward_model", "target")
    error_name = "squared error of the features"
    encoder: InverseModel
    target: FrameEncoder

    def __init__(self, config: LAOMConfig) -> None:
        super().__init__(config)
        tokens, width = self.encoder.frames.position.shape
        self.forward_model = ForwardModel(config.forward, tokens, width, config.slots, self.quantizer.dim)
        self.target = copy.deepcopy(self.encoder.frames)
        self.target.requires_grad_(False)

    def build_encoder(self, out_dim: int) -> InverseModel:
        """Make the frame encoder and the inverse model."""
        c = self.config
        return InverseModel(c.encoder, c.inverse_depth, frame_size(c), c.channels, c.slots, out_dim)

    def let_train(self) -> None:
        """Let all parameters that train require gradients; the target's never do."""
        super().let_train()
        self.target.requires_grad_(False)

    def predict(self, obs: Tensor, slots: Tensor, noise: Tensor | None = None) -> Tensor:
        """Predict the features (B, N, D) of the next frame; `noise` is not used."""
        return self.forward_model(self.encoder.frames(obs), slots)

    def prediction_error(self, obs: Tensor, next_obs: Tensor, slots: Tensor, noise: Tensor | None = None) -> Tensor:
        """Compute each example's mean squared error, (B,), against the target's features."""
        return self._error(self.predict(obs, slots), next_obs)

    def _error(self, predicted: Tensor, next_obs: Tensor) -> Tensor:
        with torch.no_grad():
            target = self.target(next_obs)
        return (predicted.float() - target).square().mean(dim=(1, 2))

    @torch.no_grad()
    def follow(self) -> None:
        """Move the target toward the encoder by one step of the moving average."""
        for mean, weight in zip(self.target.parameters(), self.encoder.frames.parameters(), strict=True):
            mean.lerp_(weight, 1.0 - self.config.target_decay)

    def forward(
        self,
        obs: Tensor,
        next_obs: Tensor,
        generator: torch.Generator,
        prefix_distribution: PrefixDistribution = "uniform",
        later: Tensor | None = None,
    ) -> StepLoss:
        """Compute the loss of a training step; all randomness comes from `generator`.

        In training mode, the target is first updated for the previous step.

        Args:
            obs, next_obs: Frames (B, C, H, W).
            generator: Random stream of the prefix lengths.
            prefix_distribution: Distribution of the prefix lengths.
            later: Frames (B, C, H, W) from which latent actions are inferred; None for `next_obs`.
        """
        if self.training and torch.is_grad_enabled() and self.encoder.frames.position.requires_grad:
            self.follow()
        lengths = self.lengths(len(obs), generator, prefix_distribution)
        now = self.encoder.frames(obs)
        then = self.encoder.frames(next_obs if later is None else later)
        quantized = self.quantizer(self.encoder.between(now, then).float(), generator)
        predicted = self.forward_model(now, null_fill(quantized.vectors, lengths, self.null))
        losses = self._error(predicted, next_obs)
        return StepLoss(losses.mean() + quantized.loss, losses.detach(), lengths, quantized.usage)

    def loss(self, batch: Mapping[str, Tensor], generator: torch.Generator) -> StepOutput:
        """Compute the loss of a batch with "obs", "next_obs" and optionally "later" frames, (B, C, H, W) each."""
        out = self(batch["obs"], batch["next_obs"], generator, later=batch.get("later"))
        return StepOutput(out.loss, out.figures())
