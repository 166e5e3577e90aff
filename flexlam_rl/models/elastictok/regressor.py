"""Guess of the number of tokens that a block needs, in one pass from its frames ("neural regression", section 4.2).

Shapes: B clips, T frames, C H W frame, n blocks of N tokens, D width.
"""

import math

import torch
from torch import Tensor, nn

from flexlam_rl.models.elastictok.config import RegressorConfig
from flexlam_rl.models.elastictok.elastictok import ElasticTok
from flexlam_rl.models.elastictok.trunk import Trunk, check_clips, numbers_per_token, to_tokens
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.pretrained import PretrainedModel


class LengthRegressor(PretrainedModel):
    """ElasticTok's encoder with a threshold as further input, and one number per block as output.

    The guess for a block depends on its frames and those of earlier blocks, not on the lengths of earlier blocks.
    """

    config_class = RegressorConfig
    compiled_parts = ("encoder",)

    def __init__(self, config: RegressorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.tokenizer.width
        self.encoder = Trunk(numbers_per_token(config.tokenizer), config.tokenizer)
        self.told = nn.Linear(1, width)
        self.head = nn.Linear(width, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def begin_as(self, model: ElasticTok) -> None:
        """Copy the weights of an autoencoder's encoder."""
        self.encoder.load_state_dict(model.encoder.state_dict())

    def thresholds(self, shares: Tensor) -> Tensor:
        """Map shares in [0, 1] to thresholds of the known range, evenly in their logarithm."""
        low, high = math.log(self.config.low), math.log(self.config.high)
        return (low + (high - low) * shares).exp()

    def forward(self, frames: Tensor, threshold: Tensor) -> Tensor:
        """Estimate the log-lengths (B, n) that blocks of clips (B, T, C, H, W) need for thresholds (B,)."""
        tokenizer = self.config.tokenizer
        low, high = math.log(self.config.low), math.log(self.config.high)
        told = self.told((2 * (threshold.log() - low) / (high - low) - 1)[:, None, None].float())
        hidden = self.encoder(to_tokens(frames, tokenizer), told)
        share = self.head(hidden.unflatten(1, (-1, tokenizer.tokens)).mean(2)).squeeze(-1).float().sigmoid()
        least, most = math.log(tokenizer.least), math.log(tokenizer.longest)
        return least + (most - least) * share

    @in_own_modes
    def guess(self, frames: Tensor, threshold: float | Tensor) -> Tensor:
        """Guess the lengths, int64 (B, n), that blocks of clips (B, T, C, H, W) need.

        Args:
            frames: Clips as uint8, or float in [-1, 1].
            threshold: One number, or one per clip (B,).

        Raises:
            ValueError: The clips have another shape, or a threshold is outside the range of the regressor's training.
        """
        config = self.config
        check_clips(frames, config.tokenizer)
        limits = torch.as_tensor(threshold, dtype=torch.float32, device=self.head.weight.device)
        # allow for rounding at the ends of the range
        if bool(((limits < 0.999 * config.low) | (limits > 1.001 * config.high)).any()) or bool(limits.isnan().any()):
            raise ValueError(f"threshold is {threshold}; this regressor knows {config.low:g} to {config.high:g}.")
        lengths = self(frames.to(limits.device), limits.expand(len(frames))).exp().round().long()
        return lengths.clamp(config.tokenizer.least, config.tokenizer.longest)
