"""Stage 2: the decoder from the states of a frozen Midway to pixels."""

from pathlib import Path

import torch
from torch import Tensor

from flexlam_rl.models.lamo.pixel_decoder import PixelDecoder
from flexlam_rl.nn.frames import peak_signal_to_noise, to_unit
from flexlam_rl.train.clips import write_clips
from flexlam_rl.train.source import Source
from flexlam_rl.train.stage import SourceStage


class PixelDecoderStage(SourceStage):
    """Trains by the squared error of frames.

    Args:
        model: The pixel decoder, which trains, with its Midway, which does not.
        source: Batches with "frames" (B, 1, H, W, C).
        held_out: Frames, uint8 (B, 1, C, H, W), never trained on.
    """

    name = "lamo_decoder"

    def __init__(self, model: PixelDecoder, source: Source, held_out: Tensor) -> None:
        super().__init__({"lamo_decoder": model}, source)
        self.model, self.held_out = model, held_out

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        return self.model.loss(batch["frames"][:, 0])

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Compute squared error (the loss) and PSNR of held-out frames."""
        frames = self.held_out[:, 0].to(device)
        made = torch.cat([self.model(self.model.midway.states(part)[:, :-1]).float() for part in frames.split(64)])
        truth = to_unit(frames)
        return {"loss": float((made - truth).square().mean()), "psnr": float(peak_signal_to_noise(made, truth).mean())}

    @torch.no_grad()
    def sheet(self, path: Path) -> None:
        """Draw eight held-out frames, each above its reconstruction."""
        frames = self.held_out[:8, 0].to(self.model.position.device)
        made = self.model.decode(self.model.midway.states(frames)[:, :-1])
        write_clips(path, [frames, made])
