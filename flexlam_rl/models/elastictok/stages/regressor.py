"""Stage that trains the regressor of lengths, on clips and the lengths that a search finds for them."""

import torch
from torch import Tensor

from flexlam_rl.models.elastictok.elastictok import ElasticTok
from flexlam_rl.models.elastictok.regressor import LengthRegressor
from flexlam_rl.models.elastictok.stepping import search_clips
from flexlam_rl.nn.prefix_search import How
from flexlam_rl.train.source import Source
from flexlam_rl.train.stage import SourceStage

CHUNK = 16


class RegressorStage(SourceStage):
    """Trains by the distance between the logarithms of guessed and searched lengths, at a random threshold per clip.

    Args:
        model: The regressor, which trains.
        tokenizer: Frozen autoencoder; the search on it gives the lengths.
        source: Batches with "frames" (B, T, H, W, C).
        held_out: Clips, uint8 (B, T, C, H, W), never trained on.
        how: Kind of search.
    """

    name = "elastictok_regressor"

    def __init__(
        self, model: LengthRegressor, tokenizer: ElasticTok, source: Source, held_out: Tensor, how: How
    ) -> None:
        super().__init__({"elastictok_regressor": model}, source, tokenizer.requires_grad_(False).eval())
        self.model, self.tokenizer, self.held_out, self.how = model, tokenizer, held_out, how
        self._answers: Tensor | None = None

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        frames = batch["frames"]
        shares = torch.rand(len(frames), generator=generator, device=generator.device)
        threshold = self.model.thresholds(shares)
        wanted = self._searched(frames, threshold)
        gap = (self.model(frames, threshold) - wanted.log()).abs()
        return gap.mean(), {"length": wanted.float().mean()}

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Evaluate on held-out clips: the same distance, and the mean error as a share of the searched length."""
        threshold = self.model.thresholds(torch.linspace(0, 1, len(self.held_out), device=device))
        if self._answers is None:
            self._answers = self._searched(self.held_out.to(device), threshold)
        parts = zip(self.held_out.split(CHUNK), threshold.split(CHUNK), strict=True)
        guessed = torch.cat([self.model(frames.to(device), limits) for frames, limits in parts])
        wanted = self._answers.to(device)
        error = (guessed.exp().round() - wanted).abs() / wanted
        return {"loss": float((guessed - wanted.log()).abs().mean()), "error": float(error.mean())}

    def _searched(self, frames: Tensor, threshold: Tensor) -> Tensor:
        """Lengths (B, n) that the search finds."""
        self.tokenizer.to(frames.device)
        parts = zip(frames.split(CHUNK), threshold.split(CHUNK), strict=True)
        return torch.cat([search_clips(self.tokenizer, x, limits, self.how).lengths for x, limits in parts])
