"""TECO without latent dynamics: the prior predicts the VQ-GAN's own codes (dissertation, table B.3).

There is no decoder and no codebook of latents. Encoder, transformer over time and prior are TECO's, but the prior
predicts four times as many codes. Shapes: B clips, T frames, w frames looked back at, h w grid of codes, C g g a
frame's latent, I numbers per item.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.models.interfaces import StepOutput
from flexlam_rl.models.teco.config import DirectConfig
from flexlam_rl.models.teco.spatial import MaskPrior, StepPrior
from flexlam_rl.models.teco.temporal import Temporal, at_times
from flexlam_rl.models.teco.world import FrameWorld
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.streams import Streams


class Direct(FrameWorld):
    """A prior per frame (a MaskGIT or an autoregressive transformer) given the output of the transformer over time."""

    config_class = DirectConfig
    config: DirectConfig

    def __init__(self, config: DirectConfig) -> None:
        super().__init__(config)
        codes, places, told = config.vqgan.codes, config.grid**2, config.temporal.out
        self.temporal = Temporal(config)
        passes = (config.passes, config.revisions, config.revision_passes)
        self.prior: MaskPrior | StepPrior = (
            MaskPrior(config.prior, codes, places, told, passes)
            if config.kind == "maskgit"
            else StepPrior(config.prior, codes, places, told)
        )

    def latents(self, codes: Tensor, before: Tensor | None = None) -> Tensor:
        """Encode frames as TECO does but without quantizing: (B, T, C, g, g), normalized to length 1 at each place.
        Arguments are those of `encoded`.
        """
        return F.normalize(self.encoded(codes, before), dim=2)

    def loss(
        self,
        codes: Tensor,
        told: Tensor | None,
        generator: torch.Generator,
        drop_loss: float | None = None,
        silent: bool = True,
    ) -> StepOutput:
        """Compute the cross-entropy of the codes of frames that DropLoss keeps (for a MaskGIT, of the hidden codes).

        Arguments are those of `FrameWorld.loss`.
        """
        times, h = self.kept(self.latents(codes[:, :-1]), told, generator, drop_loss, silent)
        prior = self.prior.loss(at_times(codes[:, 1:], times).flatten(1), h, generator)
        return StepOutput(prior, {"prior": prior.detach()})

    def remember(self, frames: Tensor) -> Tensor:
        """Make items (B, T, I) of frames (B, T, C, H, W): latent and codes, concatenated."""
        codes = self.frame_codes(frames)
        return self._items(codes, self.look(codes))

    @in_own_modes
    def look(self, codes: Tensor, before: Tensor | None = None) -> Tensor:
        """Make the latents of frames from their VQ-GAN codes (B, T, h, w)."""
        return self.latents(codes, before)

    def _items(self, codes: Tensor, latents: Tensor) -> Tensor:
        return torch.cat([latents.flatten(2), codes.flatten(2).to(latents.dtype)], dim=2)

    @in_own_modes
    def next_frame(self, items: Tensor, told: Tensor | None, generator: Streams | None = None) -> tuple[Tensor, Tensor]:
        """Predict the next frames.

        Args:
            items: Items of the newest w frames, (B, w, I).
            told: Conditions of the steps to each of these frames and to the next one, (B, w + 1, ...); None for none.
            generator: Random stream, or one per row; None for the likeliest codes.

        Returns:
            Items (B, I) and frames uint8 (B, C, H, W).
        """
        side, own = self.config.vqgan.side, self.config.latent_side
        z = items[..., : -side * side].unflatten(2, (-1, own, own))
        summaries = self.temporal(z, None if told is None else told[:, 1:])
        drawn = self.prior.sample(self.temporal.expand(summaries[:, -1]), generator).view(-1, 1, side, side)
        newest = items[:, -1, -side * side :].view(-1, side, side).long()
        item = self._items(drawn, self.latents(drawn, newest))
        return item[:, 0], self.vqgan.decode(drawn)[:, 0]
