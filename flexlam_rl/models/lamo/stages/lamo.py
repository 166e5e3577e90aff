"""Stage 3: LaMo, or the baseline that predicts states, on clips; Midway and pixel decoder are frozen."""

from pathlib import Path

import torch
from torch import Tensor

from flexlam_rl.models.lamo.lamo import LaMo
from flexlam_rl.train.clips import write_clips
from flexlam_rl.train.source import Source
from flexlam_rl.train.stage import SourceStage


class LaMoStage(SourceStage):
    """Trains by the head's loss on the step to the last frame of a clip.

    Args:
        model: LaMo, whose transformer and head train.
        source: Batches with "frames" (B, K + 2, H, W, C).
        held_out: Clips, uint8 (B, K + 2, C, H, W), never trained on.
    """

    name = "lamo"

    def __init__(self, model: LaMo, source: Source, held_out: Tensor) -> None:
        super().__init__({"lamo": model}, source)
        self.model, self.held_out = model, held_out

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        return self.model.loss(batch["frames"], generator)

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Compute the loss on held-out clips, without noise on the context, and always with the same times and
        noise.
        """
        generator = torch.Generator().manual_seed(0)
        if device != "cpu":
            generator = torch.Generator(device).manual_seed(0)
        losses = [self.model.clean_losses(part.to(device), generator) for part in self.held_out.split(16)]
        return {"loss": float(torch.cat(losses).double().mean())}

    @torch.no_grad()
    def sheet(self, path: Path) -> None:
        """Draw two held-out clips, each above two sampled continuations of its first frames."""
        clips = self.held_out[:2].to(next(self.model.context.parameters()).device)
        rows = []
        for clip in clips:
            generator = torch.Generator(clip.device).manual_seed(0)
            made = self.model.rollout(clip[:-1].expand(2, *clip[:-1].shape), None, generator, len(clip))
            rows += [clip, *made]
        write_clips(path, rows)
