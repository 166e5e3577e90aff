"""TECO without latent dynamics: the prior predicts the VQ-GAN's own codes (dissertation, table B.3).

As there, there is no decoder and no encoder; the rest is TECO's. Shapes: B clips, T frames, w frames looked back at,
h w grid of codes.
"""

import torch
from torch import Tensor

from flexlam_rl.models.interfaces import StepOutput
from flexlam_rl.models.teco.config import DirectConfig
from flexlam_rl.models.teco.spatial import MaskPrior, StepPrior
from flexlam_rl.models.teco.temporal import Temporal, at_times, kept_times
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
        self.temporal = Temporal(config, config.vqgan.dim)
        passes = (config.passes, config.revisions, config.revision_passes)
        self.prior: MaskPrior | StepPrior = (
            MaskPrior(config.prior, codes, places, told, passes)
            if config.kind == "maskgit"
            else StepPrior(config.prior, codes, places, told)
        )

    def _vectors(self, codes: Tensor) -> Tensor:
        return self.vqgan.quantizer.lookup(codes).movedim(-1, -3)

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
        told = self.dropped(told, generator) if silent else told
        summaries = self.temporal(self._vectors(codes[:, :-1]), None if told is None else told[:, 1:])
        drop = self.config.drop_loss if drop_loss is None else drop_loss
        times = kept_times(len(codes), codes.shape[1] - 1, drop, generator)
        h = self.temporal.expand(at_times(summaries, times))
        prior = self.prior.loss(at_times(codes[:, 1:], times).flatten(1), h, generator)
        return StepOutput(prior, {"prior": prior.detach()})

    def remember(self, frames: Tensor) -> Tensor:
        """Give the codes (B, T, h, w) of frames (B, T, C, H, W)."""
        return self.frame_codes(frames)

    @in_own_modes
    def next_frame(self, items: Tensor, told: Tensor | None, generator: Streams | None = None) -> tuple[Tensor, Tensor]:
        """Predict the next frames.

        Args:
            items: Codes of the newest w frames, (B, w, h, w).
            told: What led to each of these frames and to the next, (B, w + 1, ...); None for nothing.
            generator: Random stream, or one per row; None for the likeliest codes.

        Returns:
            Codes (B, h, w), and frames uint8 (B, C, H, W).
        """
        summaries = self.temporal(self._vectors(items), None if told is None else told[:, 1:])
        drawn = self.prior.sample(self.temporal.expand(summaries[:, -1]), generator).view(len(items), *items.shape[2:])
        return drawn, self.vqgan.decode(drawn[:, None])[:, 0]
