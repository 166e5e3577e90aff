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
    """A slot model whose prediction is the next frame.

    Attributes:
        decode_steps: Steps of a prediction in `next_frame`, as of `sample`.
    """

    decode_steps: int = 8

    @abstractmethod
    def sample(self, obs: Tensor, slots: Tensor, steps: int = 8, generator: Streams | None = None) -> Tensor:
        """Predict next frames.

        Args:
            obs: Current frames (B, C, H, W), uint8 or float in [-1, 1].
            slots: Null-filled (B, M, d).
            steps: Of models that refine their prediction in steps.
            generator: Stream of the noise of models that start from some, or one per row.

        Returns:
            Float (B, C, H, W), about [-1, 1].
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
        """Predict next frames, uint8 (B, C, H, W), from the current ones and the first `budget` of their latents.

        Raises:
            ValueError: Frames, latents or a budget that are none of this model.
        """
        check_frames(obs, self.config.channels, frame_size(self.config))
        return to_bytes(self.sample(obs, self.keep_prefix(latents, budget), steps, generator))

    @property
    def conditions(self) -> Conditions:
        """The first slots of its latent actions."""
        spec = self.latent
        if spec.codes is None:
            return Conditions("slots", spec.dim, spec.slots, spec.prefix)
        return Conditions("codes", spec.codes, spec.slots, spec.prefix)

    @property
    def look_back(self) -> LookBack:
        """The newest frame alone."""
        return LookBack(1, 1)

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """C, H, W."""
        return (self.config.channels, *frame_size(self.config))

    def remember(self, frames: Tensor) -> Tensor:
        """Give frames as they are: they are the items."""
        check_frames(frames.flatten(0, 1), self.config.channels, frame_size(self.config))
        return frames

    def next_frame(self, items: Tensor, told: Tensor | None, generator: Streams | None = None) -> tuple[Tensor, Tensor]:
        """Predict the next frames, as `SteppedWorldModel` says."""
        if told is None:
            raise ValueError("told is None; a latent action model predicts from the latents of the step.")
        latents = told[:, -1]
        frames = self.decode(items[:, -1], latents, latents.shape[1], self.decode_steps, generator)
        return frames, frames

    def rollout(self, context: Tensor, latents: Tensor, generator: Streams | None = None, steps: int = 8) -> Tensor:
        """Predict video, each frame from the one before it.

        Args:
            context: Frames (B, T, C, H, W), of which the last one counts.
            latents: Of each step ahead, codes (B, horizon, K) or vectors (B, horizon, K, d), K <= M.
            generator: Stream of the noise, or one per row.
            steps: Steps of each prediction, as of `sample`.

        Returns:
            uint8 (B, horizon, C, H, W).

        Raises:
            ValueError: Frames or latents that are none of this model.
        """
        obs, frames = context[:, -1], []
        for step in latents.unbind(1):
            obs = self.decode(obs, step, step.shape[1], steps, generator)
            frames.append(obs)
        return torch.stack(frames, 1)
