"""Stage 1: the VQ-GAN, trained on single frames."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.teco.vqgan import VQGAN, Discriminator, adaptive_weight, hinge_losses
from flexlam_rl.nn.frames import peak_signal_to_noise, to_unit
from flexlam_rl.nn.perceptual import Maps, perceptual_distance
from flexlam_rl.nn.quantizers.interface import entropy_bits
from flexlam_rl.train.clips import write_clips
from flexlam_rl.train.source import Source
from flexlam_rl.train.stage import SourceStage


class VQGANStage(SourceStage):
    """Trains by the reconstruction of frames from codes, and against a discriminator that trains in the same step.

    Args:
        model: The VQ-GAN, which trains.
        source: Batches with "frames" (B, 1, H, W, C).
        held_out: Frames, uint8 (B, 1, C, H, W), never trained on.
        discriminator: Channels of the discriminator's first layer.
        adversarial: Factor of the adversarial loss, in addition to its adaptive weight; 0 trains without it.
        perceptual: Network whose distance between pictures is added to that of the pixels; None for none.
    """

    name = "vqgan"

    def __init__(
        self,
        model: VQGAN,
        source: Source,
        held_out: Tensor,
        discriminator: int,
        adversarial: float = 1.0,
        perceptual: Maps | None = None,
    ) -> None:
        super().__init__({"vqgan": model}, source)
        self.model, self.held_out, self.adversarial, self.perceptual = model, held_out, adversarial, perceptual
        self.discriminator = Discriminator(model.config.channels, discriminator) if adversarial else None

    def trained(self) -> dict[str, nn.Module]:
        """The model and its discriminator."""
        own = super().trained()
        return own if self.discriminator is None else own | {"discriminator": self.discriminator}

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the distance of pixels and features, the commitment, and the adversarial loss, weighted by
        gradients.
        """
        frames = to_unit(batch["frames"][:, 0])
        quantized = self.model.quantize(frames)
        made = self.model.pictures(quantized.vectors)
        reconstruction = F.l1_loss(made, frames)
        if self.perceptual is not None:
            reconstruction = reconstruction + perceptual_distance(self.perceptual, made, frames)
        figures = {"reconstruction": reconstruction.detach(), "commitment": quantized.loss.detach()}
        loss = reconstruction + quantized.loss
        if self.discriminator is not None:
            fooling, telling = hinge_losses(self.discriminator, frames, made)
            weight = adaptive_weight(reconstruction, fooling, self.model.last_weight)
            loss = loss + self.adversarial * weight * fooling + telling
            figures |= {"discriminator": telling.detach(), "weight": weight}
        return loss, figures

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Compute, on held-out frames, the mean distance of pixels (the loss), PSNR, and the perplexity of codes."""
        errors, ratios, codes = [], [], []
        for frames in self.held_out.split(16):
            frames = frames.to(device)
            found = self.model.encode(frames)
            truth, made = (to_unit(x).flatten(0, 1) for x in (frames, self.model.decode(found)))
            errors.append((made - truth).abs().flatten(1).mean(1))
            ratios.append(peak_signal_to_noise(made, truth))
            codes.append(found)
        bits = float(entropy_bits(torch.cat(codes), self.model.config.codes))
        return {
            "loss": float(torch.cat(errors).mean()), "psnr": float(torch.cat(ratios).mean()), "perplexity": 2.0**bits,
        }  # fmt: skip

    @torch.no_grad()
    def sheet(self, path: Path) -> None:
        """Draw eight held-out frames, each above its reconstruction."""
        frames = self.held_out[:8].to(self.model.last_weight.device).transpose(0, 1)
        write_clips(path, [frames[0], self.model.decode(self.model.encode(frames))[0]])
