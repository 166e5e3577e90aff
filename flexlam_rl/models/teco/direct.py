"""TECO without latent dynamics: the prior predicts the VQ-GAN's own codes (dissertation, table B.3).

There is no decoder and no codebook of latents; encoder and transformer over time are TECO's, as is the prior, on four
times as many codes. Shapes: B clips, T frames, w frames looked back at, h w grid of codes, C g g a frame's latent, I
numbers of an item.
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
    """A MaskGIT per frame, or an autoregressive transformer per frame, over the transformer over time."""

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
        """Encode frames as TECO does, without quantizing: (B, T, C, g, g), of length 1 at each place. Arguments are
        those of `encoded`.
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
        """Cross-entropy of the codes of the frames that DropLoss keeps (of the hidden ones, for a MaskGIT).

        Arguments are those of `FrameWorld.loss`.
        """
        times, h = self.kept(self.latents(codes[:, :-1]), told, generator, drop_loss, silent)
        prior = self.prior.loss(at_times(codes[:, 1:], times).flatten(1), h, generator)
        return StepOutput(prior, {"prior": prior.detach()})

    def remember(self, frames: Tensor) -> Tensor:
        """Give items (B, T, I) of frames (B, T, C, H, W): latent and codes, one after the other."""
        codes = self.frame_codes(frames)
        return self._items(codes, self.look(codes))

    @in_own_modes
    def look(self, codes: Tensor, before: Tensor | None = None) -> Tensor:
        """Give the latents of frames whose VQ-GAN codes (B, T, h, w) are known."""
        return self.latents(codes, before)

    def _items(self, codes: Tensor, latents: Tensor) -> Tensor:
        return torch.cat([latents.flatten(2), codes.flatten(2).to(latents.dtype)], dim=2)

    @in_own_modes
    def next_frame(self, items: Tensor, told: Tensor | None, generator: Streams | None = None) -> tuple[Tensor, Tensor]:
        """Predict the next frames.

        Args:
            items: Of the newest w frames, (B, w, I).
            told: What led to each of these frames and to the next, (B, w + 1, ...); None for nothing.
            generator: Random stream, or one per row; None for the likeliest codes.

        Returns:
            Items (B, I), and frames uint8 (B, C, H, W).
        """
        side, own = self.config.vqgan.side, self.config.latent_side
        z = items[..., : -side * side].unflatten(2, (-1, own, own))
        summaries = self.temporal(z, None if told is None else told[:, 1:])
        drawn = self.prior.sample(self.temporal.expand(summaries[:, -1]), generator).view(-1, 1, side, side)
        newest = items[:, -1, -side * side :].view(-1, side, side).long()
        item = self._items(drawn, self.latents(drawn, newest))
        return item[:, 0], self.vqgan.decode(drawn)[:, 0]
