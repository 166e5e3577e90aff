"""The baseline that needs no training: the last frame of the context, again and again.

Shapes: B clips, T frames, C H W frame.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from flexlam_rl.models.interfaces import Conditions, LookBack
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.streams import Streams
from flexlam_rl.utils.plain import Plain


@dataclass(frozen=True)
class RepeatLastConfig(Plain):
    """What it looks like to others: how many actions or numbers of a latent action it ignores, and the frames' size."""

    image_size: int = 64
    channels: int = 3
    actions: int = 0
    latents: int = 0


class RepeatLast(PretrainedModel):
    """Predicts that nothing changes, whatever it is told."""

    config_class = RepeatLastConfig

    def __init__(self, config: RepeatLastConfig) -> None:
        super().__init__()
        self.config = config
        # safetensors and the loaders of checkpoints take models with at least one tensor
        self.nothing = nn.Parameter(torch.zeros(1), requires_grad=False)

    @property
    def conditions(self) -> Conditions:
        """What it is told, and ignores."""
        if self.config.actions or self.config.latents:
            count = self.config.actions or self.config.latents
            return Conditions("actions" if self.config.actions else "vectors", count)
        return Conditions("nothing")

    @property
    def look_back(self) -> LookBack:
        """One frame."""
        return LookBack(1, 1)

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """C, H, W."""
        return self.config.channels, self.config.image_size, self.config.image_size

    def remember(self, frames: Tensor) -> Tensor:
        """Give the frames themselves."""
        return frames

    def next_frame(self, items: Tensor, told: Tensor | None, generator: Streams | None = None) -> tuple[Tensor, Tensor]:
        """Give the last frame, (B, C, H, W), as item and as frame."""
        return items[:, -1], items[:, -1]

    def rollout(
        self,
        context: Tensor,
        latents: Tensor | None,
        generator: Streams | None = None,
        past: Any = None,
        horizon: int | None = None,
    ) -> Tensor:
        """Repeat the last frame, uint8 (B, horizon, C, H, W).

        Raises:
            ValueError: Neither latents nor a horizon say how often.
        """
        steps = horizon if latents is None else latents.shape[1]
        if steps is None:
            raise ValueError("latents and horizon are None; expected one of them, which says how many frames.")
        return context[:, -1:].expand(-1, steps, -1, -1, -1).contiguous()
