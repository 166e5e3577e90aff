"""What TECO and the models without latent dynamics share: a frozen VQ-GAN, what they are told, prediction by frames.

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
    """A world model over the codes of a frozen VQ-GAN, which asks for no gradient and stands still in training too."""

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
        """Set the mode of all but the VQ-GAN, which stays as it is evaluated."""
        super().train(mode)
        self.vqgan.eval()
        return self

    def compile_parts(self) -> None:
        """Compile the layers of the transformer over time in place."""
        for layer in self.temporal.gpt.layers:
            layer.compile(fullgraph=True)

    @property
    def conditions(self) -> Conditions:
        """Actions, or latent actions slot after slot."""
        if self.config.actions or self.config.latents:
            return Conditions(
                "actions" if self.config.actions else "vectors", self.config.actions or self.config.latents
            )
        return Conditions("nothing")

    @property
    def look_back(self) -> LookBack:
        """A training clip without its last frame."""
        return LookBack(1, self.config.frames - 1)

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """C, H, W."""
        own = self.config.vqgan
        return own.channels, own.image_size, own.image_size

    def frame_codes(self, frames: Tensor) -> Tensor:
        """Codes (B, T, h, w) of clips (B, T, C, H, W), without gradient."""
        return self.vqgan.encode(frames)

    def encoded(self, codes: Tensor, before: Tensor | None = None) -> Tensor:
        """Give what frames add to the ones before them, before it is quantized, (B, T, C, g, g).

        Args:
            codes: Of the VQ-GAN, (B, T, h, w).
            before: Those of the frame before the first one, (B, h, w); None puts zeros beside the first.
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
        """Predict frames, uint8 (B, horizon, C, H, W), each from the newest `look_back.most` ones.

        Args:
            context: The frames so far, (B, T, C, H, W).
            latents: What happens at each step ahead: actions, int64 (B, horizon), or latent actions, (B, horizon, K d);
                None predicts without being told.
            generator: Random stream, or one per row; None takes the likeliest codes.
            past: What led from each frame of the context to the next, (B, T - 1, ...); None where it is not known.
            horizon: Frames to predict where `latents` is None; None for as many as are left of a training clip.

        Raises:
            ValueError: The model is told something although it takes nothing, or there is nothing to predict.
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
        """What the model is told of steps that nothing is known of."""
        if self.config.actions:
            return torch.full((rows, steps), -1, dtype=torch.long, device=device)
        return torch.zeros(rows, steps, self.config.latents, device=device)

    def dropped(self, told: Tensor | None, generator: torch.Generator) -> Tensor | None:
        """Tell a share of the clips (B, T, ...) nothing at all."""
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
        """Give the times whose loss is computed, and what the temporal transformer says there; `latents` are those of
        all frames but the last, the others are arguments of `loss`.
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
            codes: Of the VQ-GAN, (B, T, h, w).
            told: What led to each frame, (B, T, ...), of which the first is not known; None where the model is told
                nothing.
            generator: Stream of everything that is drawn.
            drop_loss: Share of the times that are left out, instead of the configuration's.
            silent: Whether a share of the clips is told nothing.
        """
