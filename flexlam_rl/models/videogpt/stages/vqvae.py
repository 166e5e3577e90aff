"""Stage 1: the VQ-VAE, trained on clips."""

from pathlib import Path

import torch
from torch import Tensor

from flexlam_rl.models.videogpt.vqvae import VQVAE
from flexlam_rl.nn.frames import peak_signal_to_noise, to_unit
from flexlam_rl.train.clips import write_clips
from flexlam_rl.train.source import Source
from flexlam_rl.train.stage import SourceStage


class VQVAEStage(SourceStage):
    """Trains by the reconstruction of clips from codes.

    Args:
        model: The VQ-VAE, which trains.
        source: Batches with "frames" (B, T, H, W, C).
        held_out: Clips, uint8 (B, T, C, H, W), never trained on.
    """

    name = "vqvae"

    def __init__(self, model: VQVAE, source: Source, held_out: Tensor) -> None:
        super().__init__({"vqvae": model}, source)
        self.model, self.held_out = model, held_out

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        out = self.model.loss(batch["frames"])
        return out.loss, out.figures

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Compute NMSE (the loss), PSNR, and the use of codes on held-out clips."""
        errors, ratios, codes = [], [], []
        for frames in self.held_out.split(16):
            frames = frames.to(device)
            found = self.model.encode(frames)
            rebuilt = to_unit(self.model.decode(found)).flatten(0, 1)
            truth = self.model.masked(to_unit(frames)).flatten(0, 1)
            errors.append((rebuilt - truth).square().flatten(1).mean(1) / 4)
            ratios.append(peak_signal_to_noise(rebuilt, truth))
            codes.append(found)
        every = torch.cat(codes)
        counts = torch.bincount(every.flatten(), minlength=self.model.config.codes).double()
        shares = counts / counts.sum()
        entropy = -(shares * shares.clamp_min(1e-12).log()).sum()
        nmse = float(torch.cat(errors).mean()) / self.model.config.variance
        figures = {"loss": nmse, "nmse": nmse, "psnr": float(torch.cat(ratios).mean())}
        return figures | {"perplexity": float(entropy.exp()), "codes_alive": self.model.alive(every)}

    @torch.no_grad()
    def sheet(self, path: Path) -> None:
        """Draw four held-out clips, each above its reconstruction."""
        frames = self.held_out[:4].to(next(self.model.parameters()).device)
        rebuilt = self.model.reconstruct(frames)
        write_clips(path, [x for pair in zip(frames, rebuilt, strict=True) for x in pair])
