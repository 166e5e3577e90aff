"""Stage 1: Midway, trained on pairs of frames."""

import torch
from torch import Tensor

from flexlam_rl.models.lamo.collapse import signs_of_collapse
from flexlam_rl.models.lamo.midway import Midway
from flexlam_rl.train.source import Source
from flexlam_rl.train.stage import SourceStage


class MidwayStage(SourceStage):
    """Trains by the prediction of averaged features, and the loss that keeps features from collapsing.

    Args:
        model: Midway, which trains.
        source: Batches with "frames" (B, 2, H, W, C).
        held_out: Pairs, uint8 (B, 2, C, H, W), never trained on.
    """

    name = "midway"

    def __init__(self, model: Midway, source: Source, held_out: Tensor) -> None:
        super().__init__({"midway": model}, source)
        self.model, self.held_out = model, held_out

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        frames = batch["frames"]
        return self.model.loss(frames[:, 0], frames[:, 1], generator)

    def evaluate(self, device: str) -> dict[str, float]:
        """Compute figures of collapse on held-out pairs, and the number of its signs. The loss is the share of the
        change between frames that is not predicted, because a collapsing encoder also lowers the error itself.
        """
        frames = self.held_out.to(device)
        figures = self.model.diagnose(frames[:, 0], frames[:, 1])
        levels = range(self.model.config.levels)
        missed = sum(1 - figures[f"explained_{i}"] for i in levels) / len(levels)
        return {"loss": missed, "signs_of_collapse": float(len(signs_of_collapse(figures))), **figures}
