"""Stage 1 of LAOM: training on windows of frames, with latent actions inferred over one to `horizon` steps.

Shapes: B batch, C H W frame.
"""

import torch
from torch import Tensor

from flexlam_rl.models.baselines.laom import LAOM
from flexlam_rl.models.flexlam.stages.lam import LAMStage


class LAOMStage(LAMStage):
    """Trains as FlexLAM's stage, on batches with "frames", (B, horizon + 1, C, H, W)."""

    model: LAOM

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        frames = batch["frames"]
        steps = torch.randint(
            1, frames.shape[1], (len(frames),), generator=generator, device=generator.device
        )  # how far ahead each example looks
        later = frames[torch.arange(len(frames), device=frames.device), steps]
        obs, next_obs, later = self.mirrored([frames[:, 0], frames[:, 1], later], generator)
        out = self.model(obs, next_obs, generator, self.prefix_distribution, later)
        return out.loss, out.figures()

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Evaluate as FlexLAM's stage does. The loss that chooses the best checkpoint is relative to that of predicting
        no change, because features with less information are easier to predict.
        """
        figures = super().evaluate(device)
        obs, next_obs = (self.model.target(self.held_out[name].to(device)) for name in ("obs", "next_obs"))
        figures["still"] = float((next_obs - obs).square().mean())
        figures["loss"] /= max(figures["still"], 1e-12)
        return figures
