"""Latent action models that predict pixels.

Shapes: B batch, C H W frame, M slots, d numbers per slot, K budget.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from flexlam_rl.models.interfaces import Conditions, LookBack
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.frames import check_frames, to_bytes
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.patch_embed import frame_size
from flexlam_rl.nn.streams import Streams


class PixelModel(SlotModel):
    """Slot model that predicts the next frame.

    Attributes:
        decode_steps: Number of steps of a prediction in `next_frame`; see `sample`.
    """

    decode_steps: int = 8

    @abstractmethod
    def sample(self, obs: Tensor, slots: Tensor, steps: int = 8, generator: Streams | None = None) -> Tensor:
        """Predict next frames.

        Args:
            obs: Current frames (B, C, H, W), uint8 or float in [-1, 1].
            slots: Null-filled (B, M, d).
            steps: Number of steps, for models that refine their prediction step by step.
            generator: Random stream, or one per row, for models that start from noise.

        Returns:
            Frames (B, C, H, W) as floats, about in [-1, 1].
        """

    @in_own_modes
    def decode(
        self,
        obs: Tensor,
        latents: Tensor,
        budget: int | Tensor,
        steps: int = 8,
        generator: Streams | None = None,
    ) -> Tensor:
        """Predict next frames, uint8 (B, C, H, W), from the current ones and the first `budget` latents.

        Raises:
            ValueError: The frames, latents or budget do not fit this model.
        """
        check_frames(obs, self.config.channels, frame_size(self.config))
        return to_bytes(self.sample(obs, self.keep_prefix(latents, budget), steps, generator))

    @property
    def conditions(self) -> Conditions:
        """First slots of latent actions."""
        spec = self.latent
        if spec.codes is None:
            return Conditions("slots", spec.dim, spec.slots, spec.prefix)
        return Conditions("codes", spec.codes, spec.slots, spec.prefix)

    @property
    def look_back(self) -> LookBack:
        """Only the newest frame."""
        return LookBack(1, 1)

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """C, H, W."""
        return (self.config.channels, *frame_size(self.config))

    def remember(self, frames: Tensor) -> Tensor:
        """Give the frames unchanged, because items are frames."""
        check_frames(frames.flatten(0, 1), self.config.channels, frame_size(self.config))
        return frames

    def next_frame(self, items: Tensor, told: Tensor | None, generator: Streams | None = None) -> tuple[Tensor, Tensor]:
        """Predict the next frames; see `SteppedWorldModel`."""
        if told is None:
            raise ValueError("told is None; a latent action model predicts from the latents of the step.")
        latents = told[:, -1]
        frames = self.decode(items[:, -1], latents, latents.shape[1], self.decode_steps, generator)
        return frames, frames

    def rollout(self, context: Tensor, latents: Tensor, generator: Streams | None = None, steps: int = 8) -> Tensor:
        """Predict video, each frame from the one before it.

        Args:
            context: Frames (B, T, C, H, W), of which only the last one is used.
            latents: Latents of each step ahead, codes (B, horizon, K) or vectors (B, horizon, K, d), with K <= M.
            generator: Random stream of the noise, or one per row.
            steps: Number of steps of each prediction; see `sample`.

        Returns:
            uint8 (B, horizon, C, H, W).

        Raises:
            ValueError: The frames or latents do not fit this model.
        """
        obs, frames = context[:, -1], []
        for step in latents.unbind(1):
            obs = self.decode(obs, step, step.shape[1], steps, generator)
            frames.append(obs)
        return torch.stack(frames, 1)
