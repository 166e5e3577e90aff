"""Stage that trains the autoencoder on clips, with a random length per block (algorithm 1)."""

from pathlib import Path

import torch
from torch import Tensor

from flexlam_rl.models.elastictok.elastictok import ElasticTok, squared_error
from flexlam_rl.nn.frames import to_bytes
from flexlam_rl.nn.perceptual import Maps, perceptual_distance
from flexlam_rl.train.clips import write_clips
from flexlam_rl.train.source import Source
from flexlam_rl.train.stage import SourceStage


class ElasticTokStage(SourceStage):
    """Trains by the reconstruction of clips from prefixes of their codes.

    Args:
        model: The autoencoder, which trains.
        source: Batches with "frames" (B, T, H, W, C).
        held_out: Clips, uint8 (B, T, C, H, W), never trained on.
        images: Share of clips in which each block is its first frame, repeated.
        perceptual: Network whose distance between pictures is added to the squared error; None for none.
        weight: Weight of that distance.
    """

    name = "elastictok"

    def __init__(
        self,
        model: ElasticTok,
        source: Source,
        held_out: Tensor,
        images: float = 0.0,
        perceptual: Maps | None = None,
        weight: float = 0.1,
    ) -> None:
        super().__init__({"elastictok": model}, source)
        self.model, self.held_out, self.images = model, held_out, images
        self.perceptual, self.weight = perceptual, weight

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        frames = batch["frames"]
        if self.images:
            still = torch.rand(len(frames), generator=generator, device=generator.device) < self.images
            frames = torch.where(still[:, None, None, None, None], stills(frames, self.model.config.frames), frames)
        out = self.model.loss(frames, generator, perceptual=None if self.perceptual is None else self._apart)
        return out.loss, out.figures

    def _apart(self, made: Tensor, truth: Tensor) -> Tensor:
        assert self.perceptual is not None
        return self.weight * perceptual_distance(self.perceptual, made, truth)

    def lengths(self) -> list[int]:
        """Lengths at which evaluations are made: the shortest, a quarter and a half of all tokens, and the longest."""
        config = self.model.config
        middle = (config.tokens // 4, config.tokens // 2)
        return sorted({config.least, config.longest, *(n for n in middle if config.least < n < config.longest)})

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Squared error of held-out blocks at several lengths, and their mean, which is the loss."""
        figures, each = {}, self.model.config.frames
        for length in self.lengths():
            errors = []
            for frames in self.held_out.split(16):
                frames = frames.to(device)
                rebuilt = self.model.reconstruct(frames, length)
                pairs = zip(frames.split(each, 1), rebuilt.split(each, 1), strict=True)
                errors += [squared_error(truth, given) for truth, given in pairs]
            figures[f"error@{length}"] = float(torch.cat(errors).mean())
        return {"loss": sum(figures.values()) / len(figures), **figures}

    @torch.no_grad()
    def sheet(self, path: Path) -> None:
        """Draw two held-out clips, each above its reconstructions at several lengths, the longest first."""
        frames = self.held_out[:2].to(self.model.null.device)
        left = [to_bytes(self.model.reconstruct(frames, length)) for length in reversed(self.lengths())]
        write_clips(path, [clip for row in zip(frames, *left, strict=True) for clip in row])


def stills(frames: Tensor, each: int) -> Tensor:
    """Repeat the first frame of every block of `each` frames in clips (B, T, C, H, W), to train on still images."""
    return frames[:, ::each].repeat_interleave(each, 1)
