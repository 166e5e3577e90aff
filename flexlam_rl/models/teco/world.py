"""Base of TECO and of the models without latent dynamics: a frozen VQ-GAN, conditions, and prediction by frames.

Shapes: B clips, T frames, w frames looked back at, C H W frame, h w grid of the VQ-GAN's codes, g g grid of latents
(whose channels are C too).
"""

from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from torch import Tensor

from flexlam_rl.models.interfaces import Conditions, LookBack, StepOutput
from flexlam_rl.models.stepping import step_by_step
from flexlam_rl.models.teco.blocks import down
from flexlam_rl.models.teco.config import WorldConfig
from flexlam_rl.models.teco.temporal import Temporal, at_times, kept_times
from flexlam_rl.models.teco.vqgan import VQGAN
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.streams import Streams


class FrameWorld(PretrainedModel, ABC):
    """World model over the codes of a VQ-GAN, which is frozen and does not change in training mode either."""

    compiled_parts = ("temporal.gpt",)
    config: WorldConfig
    temporal: Temporal

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.vqgan = VQGAN(config.vqgan).requires_grad_(False).eval()
        halvings, side = len(config.depths) - 1, config.vqgan.side
        self.encoder = down(2 * config.vqgan.dim, config.depths, config.encoder_blocks, config.dim, halvings, side)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of everything except the VQ-GAN, which stays in evaluation mode."""
        super().train(mode)
        self.vqgan.eval()
        return self

    def compile_parts(self) -> None:
        """Compile the layers of the transformer over time, in place."""
        for layer in self.temporal.gpt.layers:
            layer.compile(fullgraph=True)

    @property
    def conditions(self) -> Conditions:
        """Actions, or latent actions with their slots concatenated."""
        if self.config.actions or self.config.latents:
            return Conditions(
                "actions" if self.config.actions else "vectors", self.config.actions or self.config.latents
            )
        return Conditions("nothing")

    @property
    def look_back(self) -> LookBack:
        """Up to a training clip without its last frame."""
        return LookBack(1, self.config.frames - 1)

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """C, H, W."""
        own = self.config.vqgan
        return own.channels, own.image_size, own.image_size

    def frame_codes(self, frames: Tensor) -> Tensor:
        """Compute codes (B, T, h, w) of clips (B, T, C, H, W), without gradients."""
        return self.vqgan.encode(frames)

    def encoded(self, codes: Tensor, before: Tensor | None = None) -> Tensor:
        """Compute what frames add to the ones before them, before quantization, (B, T, C, g, g).

        Args:
            codes: Codes of the VQ-GAN, (B, T, h, w).
            before: Codes of the frame before the first one, (B, h, w); None uses zeros.
        """
        x = self.vqgan.quantizer.lookup(codes).movedim(-1, 2)
        first = torch.zeros_like(x[:, :1])
        if before is not None:
            first = self.vqgan.quantizer.lookup(before).movedim(-1, 1)[:, None]
        pairs = torch.cat([x, torch.cat([first, x[:, :-1]], dim=1)], dim=2)
        z: Tensor = self.encoder(pairs.flatten(0, 1))
        return z.view(*codes.shape[:2], *z.shape[1:])

    def rollout(
        self,
        context: Tensor,
        latents: Tensor | None,
        generator: Streams | None = None,
        past: Tensor | None = None,
        horizon: int | None = None,
    ) -> Tensor:
        """Predict frames, uint8 (B, horizon, C, H, W), each from the newest `look_back.most` frames.

        Args:
            context: Past frames, (B, T, C, H, W).
            latents: Conditions of each step ahead: actions, int64 (B, horizon), or latent actions, (B, horizon, K d);
                None predicts without conditions.
            generator: Random stream, or one per row; None takes the likeliest codes.
            past: Conditions of the steps between the context's frames, (B, T - 1, ...); None if they are not known.
            horizon: Number of frames to predict if `latents` is None; None for the rest of a training clip.

        Raises:
            ValueError: Conditions are given to a model that takes none, or there is nothing to predict.
        """
        if latents is not None:
            horizon = latents.shape[1]
        elif horizon is None:
            horizon = self.config.frames - context.shape[1]
        if horizon < 1:
            raise ValueError(f"The horizon is {horizon} frames; expected 1 or more.")
        if latents is None and self.conditions.kind != "nothing":
            latents = self.unknown(len(context), horizon, context.device)
        return step_by_step(self, context, latents, horizon, generator, past)  # type: ignore[arg-type]

    def unknown(self, rows: int, steps: int, device: torch.device | str = "cpu") -> Tensor:
        """Make the conditions of steps about which nothing is known."""
        if self.config.actions:
            return torch.full((rows, steps), -1, dtype=torch.long, device=device)
        return torch.zeros(rows, steps, self.config.latents, device=device)

    def dropped(self, told: Tensor | None, generator: torch.Generator) -> Tensor | None:
        """Replace all conditions in a random share of the clips (B, T, ...) by unknown ones."""
        if told is None:
            return None
        silent = torch.rand(len(told), generator=generator, device=generator.device) < self.config.action_dropout
        nothing = self.unknown(told.shape[0], told.shape[1], told.device).to(told.dtype)
        return torch.where(silent.view(-1, *(1,) * (told.ndim - 1)), nothing, told)

    def kept(
        self,
        latents: Tensor,
        told: Tensor | None,
        generator: torch.Generator,
        drop_loss: float | None,
        silent: bool,
    ) -> tuple[Tensor, Tensor]:
        """Draw the times whose loss is computed, and compute the temporal transformer's output there. `latents` are
        those of all frames except the last; the other arguments are those of `loss`.
        """
        told = self.dropped(told, generator) if silent else told
        summaries = self.temporal(latents, None if told is None else told[:, 1:])
        drop = self.config.drop_loss if drop_loss is None else drop_loss
        times = kept_times(len(latents), latents.shape[1], drop, generator)
        return times, self.temporal.expand(at_times(summaries, times))

    @abstractmethod
    def loss(
        self,
        codes: Tensor,
        told: Tensor | None,
        generator: torch.Generator,
        drop_loss: float | None = None,
        silent: bool = True,
    ) -> StepOutput:
        """Compute the loss of clips.

        Args:
            codes: Codes of the VQ-GAN, (B, T, h, w).
            told: Conditions of the steps to each frame, (B, T, ...), of which the first is unknown; None if the model
                takes none.
            generator: Source of all randomness of the step.
            drop_loss: Share of the times that are left out, instead of the configuration's.
            silent: Whether a share of the clips gets no conditions.
        """
