"""Latent action models that predict pixels.

Shapes: B batch, C H W frame, M slots, d numbers per slot, K budget.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.frames import check_frames, to_bytes
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.patch_embed import frame_size


class PixelModel(SlotModel):
    """A slot model whose prediction is the next frame."""

    @abstractmethod
    def sample(self, obs: Tensor, slots: Tensor, steps: int = 8, generator: torch.Generator | None = None) -> Tensor:
        """Predict next frames.

        Args:
            obs: Current frames (B, C, H, W), uint8 or float in [-1, 1].
            slots: Null-filled (B, M, d).
            steps: Of models that refine their prediction in steps.
            generator: Stream of the noise of models that start from some.

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
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Predict next frames, uint8 (B, C, H, W), from the current ones and the first `budget` of their latents.

        Raises:
            ValueError: Frames, latents or a budget that are none of this model.
        """
        check_frames(obs, self.config.channels, frame_size(self.config))
        return to_bytes(self.sample(obs, self.keep_prefix(latents, budget), steps, generator))

    def rollout(
        self, context: Tensor, latents: Tensor, generator: torch.Generator | None = None, steps: int = 8
    ) -> Tensor:
        """Predict video, each frame from the one before it.

        Args:
            context: Frames (B, T, C, H, W), of which the last one counts.
            latents: Of each step ahead, codes (B, horizon, K) or vectors (B, horizon, K, d), K <= M.
            generator: Stream of the noise.
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
