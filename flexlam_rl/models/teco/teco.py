"""TECO (dissertation, section 3.3): vector-quantized latent dynamics, one token per frame in the transformer over time.

Frames are counted from 0. z_t is what frame t adds to the one before; h_t is the summary of the frames before t and of
the actions up to the one that led to t. Equations 3.5 and 3.6 differ by one in the index of h; the code follows 3.6.
Shapes: B clips, T frames, w frames looked back at, h w grid of the VQ-GAN's codes, g g grid of latents, C channels of a
latent, N frames with a loss, P = g g.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.models.interfaces import StepOutput
from flexlam_rl.models.teco.config import TECOConfig
from flexlam_rl.models.teco.spatial import Decoder, MaskPrior
from flexlam_rl.models.teco.temporal import Temporal, at_times, mean_cross_entropy
from flexlam_rl.models.teco.world import FrameWorld
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.quantizers.interface import Quantized
from flexlam_rl.nn.quantizers.vq import VQ
from flexlam_rl.nn.streams import Streams


class TECO(FrameWorld):
    """All four parts of TECO and the frozen VQ-GAN in one checkpoint."""

    config_class = TECOConfig
    config: TECOConfig

    def __init__(self, config: TECOConfig) -> None:
        super().__init__(config)
        self.quantizer = VQ(config.codes, config.dim, normalise=True)
        self.temporal = Temporal(config)
        passes = (config.passes, config.revisions, config.revision_passes)
        self.prior = MaskPrior(config.prior, config.codes, config.grid**2, config.temporal.out, passes)
        self.decoder = Decoder(config)

    def latents(self, codes: Tensor) -> tuple[Tensor, Quantized | None]:
        """Encode frames, each concatenated with the one before it; the first, with zeros before it, is not quantized.

        Args:
            codes: Codes of the VQ-GAN, (B, T, h, w).

        Returns:
            z (B, T, C, g, g), and the quantizer's result for all frames except the first, (B, T - 1, g, g, ...), or
            None for clips of one frame.
        """
        z = self.encoded(codes)
        # as long as the quantized ones, so that all inputs of the transformer have the same size
        first = F.normalize(z[:, :1], dim=2)
        if z.shape[1] == 1:
            return first, None
        quantized = self.quantizer(z[:, 1:].movedim(2, -1))
        return torch.cat([first, quantized.vectors.movedim(-1, 2).to(first.dtype)], dim=1), quantized

    def loss(
        self,
        codes: Tensor,
        told: Tensor | None,
        generator: torch.Generator,
        drop_loss: float | None = None,
        silent: bool = True,
    ) -> StepOutput:
        """Compute the commitment of the codebook, the cross-entropy of the VQ-GAN's codes, and that of the hidden
        latent codes (equation 3.9), each as a mean over codes. The last two are computed only at the times that
        DropLoss keeps.

        Arguments are those of `FrameWorld.loss`.
        """
        z, quantized = self.latents(codes)
        assert quantized is not None and quantized.codes is not None, "a clip has two frames or more"
        times, h = self.kept(z[:, :-1], told, generator, drop_loss, silent)
        logits = self.decoder(at_times(z[:, 1:], times), h)
        reconstruction = mean_cross_entropy(logits, at_times(codes[:, 1:], times))
        prior = self.prior.loss(at_times(quantized.codes, times).flatten(1), h, generator)
        figures = {"reconstruction": reconstruction.detach(), "prior": prior.detach(), "commitment": quantized.loss}
        if quantized.usage is not None:
            figures["bits"] = quantized.usage
        return StepOutput(quantized.loss + reconstruction + prior, figures)

    def remember(self, frames: Tensor) -> Tensor:
        """Make the latents (B, T, C, g, g) of frames (B, T, C, H, W), whose first is treated as the first of a clip."""
        return self.look(self.frame_codes(frames))

    @in_own_modes
    def look(self, codes: Tensor) -> Tensor:
        """Make the latents of frames from their VQ-GAN codes (B, T, h, w)."""
        return self.latents(codes)[0]

    @in_own_modes
    def next_frame(self, items: Tensor, told: Tensor | None, generator: Streams | None = None) -> tuple[Tensor, Tensor]:
        """Predict the next frames.

        Args:
            items: Latents of the newest w frames, (B, w, C, g, g).
            told: Conditions of the steps to each of these frames and to the next one, (B, w + 1, ...); None for none.
            generator: Random stream, or one per row; None for the likeliest codes.

        Returns:
            Latents (B, C, g, g) and frames uint8 (B, C, H, W).
        """
        h = self.next_told(items, told)
        drawn = self.prior.sample(h, generator)
        z = self.quantizer.lookup(drawn).transpose(1, 2).reshape(len(drawn), -1, *h.shape[-2:])
        return z, self.vqgan.decode(self.decoder(z, h).argmax(1)[:, None])[:, 0]

    def next_told(self, items: Tensor, told: Tensor | None) -> Tensor:
        """Compute the temporal output for the next frame, (B, O, g, g); arguments are those of `next_frame`."""
        summaries: Any = self.temporal(items, None if told is None else told[:, 1:])
        found: Tensor = self.temporal.expand(summaries[:, -1])
        return found
