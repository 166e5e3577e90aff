"""VideoGPT: a frozen VQ-VAE and the prior over its codes. It samples clips, and computes their likelihood.

Shapes: B clips, T frames, t h w grid, n codebooks, C H W frame, K numbers of a latent action.
"""

from typing import Any, Self

import torch
from torch import Tensor

from flexlam_rl.models.interfaces import Conditions, LookBack
from flexlam_rl.models.videogpt.config import VideoGPTConfig
from flexlam_rl.models.videogpt.prior import Prior, Told
from flexlam_rl.models.videogpt.stepping import Progress, Stepper, sample_codes
from flexlam_rl.models.videogpt.vqvae import VQVAE
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.modes import in_own_modes, own_modes
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.streams import Streams

NOTHING = Told()


class VideoGPT(PretrainedModel):
    """Both models in one checkpoint. The VQ-VAE is frozen, and its codebook does not change in training mode either."""

    config_class = VideoGPTConfig
    compiled_parts = ("prior.gpt",)

    def __init__(self, config: VideoGPTConfig) -> None:
        super().__init__()
        self.config = config
        self.vqvae = VQVAE(config.vqvae).requires_grad_(False).eval()
        self.prior = Prior(config)

    def train(self, mode: bool = True) -> Self:
        """Set the prior's mode; the VQ-VAE stays in evaluation mode."""
        super().train(mode)
        self.vqvae.eval()
        return self

    def compile_parts(self) -> None:
        """Compile the layers of the transformer, in place."""
        for layer in self.prior.gpt.layers:
            layer.compile(fullgraph=True)

    @property
    def causal(self) -> bool:
        """Whether a frame's codes, and so its likelihood, do not depend on later frames."""
        return self.config.vqvae.per_frame

    @property
    def frames(self) -> int:
        """T, the frames of a clip."""
        return self.config.vqvae.frames

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """Encode clips (B, T, C, H, W) as codes (B, t, h, w, n)."""
        return self.vqvae.encode(frames)

    def context_of(self, frames: Tensor) -> Tensor | None:
        """First frames of clips, as the prior sees them; None if it sees none."""
        count = self.config.prior.context_frames
        return self.vqvae.masked(to_unit(frames[:, :count])) / 2 if count else None

    @in_own_modes
    def log_prob(self, frames: Tensor, told: Told = NOTHING) -> Tensor:
        """Compute the log-probability, in nats, of each frame's codes given those of the frames before it.

        If `down_time` frames share codes, each gets an equal part; the value of a frame then also depends on later
        frames, and only the sum over a clip is a likelihood.

        Args:
            frames: (B, T, C, H, W), a whole clip; with codes per frame, also only the first frames of one.
            told: Conditions of the prior; frames that it sees are taken from `frames`.

        Returns:
            (B, T).

        Raises:
            ValueError: The clips do not fit this model, or a condition is missing.
        """
        logs = self.code_log_probs(frames, told)
        shared = self.config.vqvae.down_time
        return (logs.flatten(2).sum(-1) / shared).repeat_interleave(shared, dim=1)

    @in_own_modes
    def code_log_probs(self, frames: Tensor, told: Told = NOTHING) -> Tensor:
        """Compute the same for every single code, (B, t, h, w, n)."""
        self._check_length(frames.shape[1])
        codes = self.encode(frames)
        logs = self.prior.log_probs(codes, told._replace(context=self.context_of(frames)))
        return logs.view(codes.shape)

    @in_own_modes
    def begin(self, rows: int, told: Told = NOTHING) -> Progress:
        """Begin `rows` clips whose frames come one by one; `told` holds the conditions of whole clips.

        Raises:
            ValueError: Codes of this model belong to several frames.
        """
        if not self.causal:
            raise ValueError("Codes of this model belong to several frames; scoring frame by frame needs per_frame.")
        return Stepper(self.prior).begin(rows, told)

    @in_own_modes
    def observe(self, progress: Progress, frames: Tensor) -> Tensor:
        """Append the next frame (B, C, H, W) of each clip.

        Returns:
            Log-probabilities of its codes given the frames before it, (B, h, w, n), whose sum equals `log_prob` for the
            frame.
        """
        codes = self.encode(frames[:, None])[:, 0]
        return Stepper(self.prior).append(progress, codes.flatten(1)).view(codes.shape)

    @in_own_modes
    def sample(
        self,
        rows: int,
        told: Told = NOTHING,
        prime: Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        """Sample clips, uint8 (B, T, C, H, W); arguments are those of `stepping.sample_codes`."""
        return self.vqvae.decode(sample_codes(self.prior, rows, told, prime, **options))

    def rollout(self, context: Tensor, latents: Tensor | None, generator: Streams | None = None) -> Tensor:
        """Predict frames, uint8 (B, horizon, C, H, W).

        Args:
            context: Past frames, (B, T', C, H, W): as many as the prior sees, or, with codes per frame, any number.
            latents: Latent actions ahead, (B, horizon, K), or actions, int64 (B, horizon); None to predict to the end
                of the clip, if the prior takes neither.
            generator: Random stream, or one per row; None takes the likeliest codes.

        Raises:
            ValueError: Context and horizon do not fit into a clip of the model.
        """
        own, seen = self.config.prior, context.shape[1]
        horizon = self.frames - seen if latents is None else latents.shape[1]
        if not 1 <= horizon <= self.frames - seen:
            raise ValueError(
                f"context is {seen} frames and the horizon {horizon}; this model has clips of {self.frames} frames."
            )
        if not self.causal and seen != own.context_frames:
            raise ValueError(f"context is {seen} frames; this model sees {own.context_frames}.")
        told = Told(context=self.context_of(context))
        if latents is not None:
            # the steps of the context are unknown here, and frames after the horizon are not returned
            room = (len(latents), self.frames, *latents.shape[2:])
            whole = torch.full(room, -1 if own.actions else 0, dtype=latents.dtype, device=latents.device)
            whole[:, seen : seen + horizon] = latents
            told = told._replace(**{"actions" if own.actions else "latents": whole})
        if not self.causal:
            return self.sample(len(context), told, generator=generator)[:, seen : seen + horizon]
        made = self.sample(len(context), told, self.encode(context), generator=generator, upto=seen + horizon)
        return made[:, seen:]

    @property
    def conditions(self) -> Conditions:
        """Actions, or latent actions with their slots concatenated; stepping allows no other conditions."""
        own = self.config.prior
        if own.tasks or (own.actions and own.latents):
            more = "tasks" if own.tasks else "both actions and latents"
            raise ValueError(f"This model takes {more}; a stepped model takes only actions or only latents.")
        if own.actions or own.latents:
            return Conditions("actions" if own.actions else "vectors", own.actions or own.latents)
        return Conditions("nothing")

    @property
    def look_back(self) -> LookBack:
        """With codes per frame, up to a clip without its last frame; otherwise exactly the frames that the
        prior sees.
        """
        seen = self.config.prior.context_frames
        if not self.causal and not seen:
            raise ValueError(
                "The codes of this model belong to several frames, and its prior sees no frames: it cannot be stepped."
            )
        return LookBack(max(1, seen), self.frames - 1 if self.causal and not seen else seen)

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """C, H, W."""
        own = self.config.vqvae
        return own.channels, own.image_size, own.image_size

    def remember(self, frames: Tensor) -> Tensor:
        """Give the codes of frames, or the frames themselves if several share codes or the prior sees frames."""
        return frames if self._keeps_frames else self.encode(frames)

    def next_frame(self, items: Tensor, told: Tensor | None, generator: Streams | None = None) -> tuple[Tensor, Tensor]:
        """Predict the next frames; see `SteppedWorldModel`."""
        if self._keeps_frames:
            made = self.rollout(items, None if told is None else told[:, -1:], generator)[:, 0]
            return made, made
        kind, seen = self.conditions, items.shape[1]
        conditions = NOTHING
        if told is not None:
            shape = (len(told), self.frames, *told.shape[2:])
            whole = torch.full(shape, kind.unknown, dtype=told.dtype, device=told.device)
            whole[:, : seen + 1] = told
            conditions = Told(**{"actions" if kind.kind == "actions" else "latents": whole})
        with own_modes():
            codes = sample_codes(self.prior, len(items), conditions, items, generator, upto=seen + 1)[:, seen:]
            return codes[:, 0], self.vqvae.decode(codes)[:, 0]

    @property
    def _keeps_frames(self) -> bool:
        return not self.causal or self.config.prior.context_frames > 0

    def _check_length(self, length: int) -> None:
        if length > self.frames or (length != self.frames and not self.causal):
            wanted = f"1..{self.frames}" if self.causal else str(self.frames)
            raise ValueError(f"Clips have {length} frames; this model takes {wanted}.")
