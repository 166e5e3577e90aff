"""A MaskGIT prior over the codes of the newest frame given those of earlier frames (VIPER's ablation, section 6.4).

Shapes: B clips, T frames, w frames of a window, h w grid, n codebooks, N = h w n codes of a frame, V codes, D width,
C H W frame.
"""

from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor, nn

from flexlam_rl.models.interfaces import Conditions, LookBack
from flexlam_rl.models.videogpt.config import VQVAEConfig
from flexlam_rl.models.videogpt.vqvae import VQVAE
from flexlam_rl.nn.maskgit import draw_hidden, masked_loss, pass_log_probs, sample_masked
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.streams import Streams
from flexlam_rl.nn.transformer import Block
from flexlam_rl.utils.numbers import whole
from flexlam_rl.utils.plain import Plain


@dataclass(frozen=True)
class MaskGITConfig(Plain):
    """Sizes of the prior, and configuration of the autoencoder, which has codes per frame."""

    vqvae: VQVAEConfig = field(default_factory=lambda: VQVAEConfig(per_frame=True, down_time=1))
    width: int = 256
    depth: int = 8
    heads: int = 8
    hidden: int = 1024
    passes: int = 8
    """Forward passes per likelihood and per sample."""

    def __post_init__(self) -> None:
        """Raise ValueError if sizes do not fit each other."""
        super().__post_init__()
        whole(self.passes, "passes", 1)
        if not self.vqvae.per_frame:
            raise ValueError("per_frame is False; a MaskGIT over frames needs codes per frame.")


class MaskGIT(PretrainedModel):
    """A frozen VQ-VAE, and a transformer that sees all codes of a window except the hidden ones of its last frame."""

    config_class = MaskGITConfig
    causal = True

    def __init__(self, config: MaskGITConfig) -> None:
        super().__init__()
        self.config = config
        codes, width = config.vqvae, config.width
        self.vqvae = VQVAE(codes).requires_grad_(False).eval()
        self.books = codes.codebooks
        self.embed = nn.Embedding(self.books * codes.codes, width)
        self.hidden = nn.Parameter(torch.randn(width) * 0.02)
        t, h, w = codes.grid
        # positions in time are counted back from the newest frame
        self.time = nn.Parameter(torch.randn(t, width) * 0.02)
        self.place = nn.Parameter(torch.randn(h * w * self.books, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, config.heads, config.hidden) for _ in range(config.depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, codes.codes)
        nn.init.normal_(self.embed.weight, std=0.02)
        nn.init.normal_(self.head.weight, std=0.02)

    def train(self, mode: bool = True) -> Self:
        """Set the prior's mode; the VQ-VAE stays in evaluation mode."""
        super().train(mode)
        self.vqvae.eval()
        return self

    @property
    def frames(self) -> int:
        """Number of frames of the longest window."""
        return self.config.vqvae.frames

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """Encode clips (B, T, C, H, W) as codes (B, T, h, w, n)."""
        return self.vqvae.encode(frames)

    def logits(self, past: Tensor, codes: Tensor, hidden: Tensor) -> Tensor:
        """Compute logits (B, N, V) of the newest frame's codes.

        Args:
            past: Codes (B, w - 1, N) of the frames before it.
            codes: (B, N); values of hidden codes do not matter.
            hidden: bool (B, N).
        """
        frames = past.shape[1] + 1
        book = torch.arange(codes.shape[1], device=codes.device) % self.books * self.config.vqvae.codes
        newest = torch.where(hidden[..., None], self.hidden, self.embed(codes.masked_fill(hidden, 0) + book))
        x = torch.cat([self.embed(past + book), newest[:, None]], dim=1)
        x = (x + self.time[:frames].flip(0)[:, None] + self.place).flatten(1, 2)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, -codes.shape[1] :]))

    def loss(self, codes: Tensor, generator: torch.Generator) -> Tensor:
        """Compute the cross-entropy of hidden codes in the last frame of windows, whose length is drawn for the batch.

        Args:
            codes: (B, T, h, w, n).
            generator: Random stream of the length and of the hidden codes.
        """
        flat = codes.flatten(2)
        length = int(torch.randint(1, flat.shape[1] + 1, (1,), generator=generator, device=generator.device))
        hidden = draw_hidden(len(flat), flat.shape[2], generator)
        newest = flat[:, length - 1]
        return masked_loss(self.logits(flat[:, : length - 1], newest, hidden), newest, hidden)

    def window_log_probs(self, codes: Tensor, last_only: bool = False) -> Tensor:
        """Compute the log-probability, in nats, of each frame's codes given the frames before it, in `passes` passes.

        Args:
            codes: (B, w, h, w, n).
            last_only: Only for the last frame, (B, 1, h, w, n).
        """
        flat = codes.flatten(2)
        found = []
        for t in range(flat.shape[1] - 1 if last_only else 0, flat.shape[1]):
            past = flat[:, :t]

            def predict(shown: Tensor, hidden: Tensor, past: Tensor = past) -> Tensor:
                return self.logits(past, shown, hidden)

            found.append(pass_log_probs(predict, flat[:, t], self.config.passes))
        return torch.stack(found, 1).view(len(codes), len(found), *codes.shape[2:])

    @in_own_modes
    def log_prob(self, frames: Tensor) -> Tensor:
        """Compute the log-probability, in nats, of each frame's codes given the frames before it: (B, T, C, H, W) to
        (B, T).

        Raises:
            ValueError: The clips are longer than the model's, or have another size.
        """
        if frames.shape[1] > self.frames:
            raise ValueError(f"Clips have {frames.shape[1]} frames; this model takes 1..{self.frames}.")
        return self.window_log_probs(self.encode(frames)).flatten(2).sum(-1)

    @in_own_modes
    def rollout(self, context: Tensor, latents: Tensor | None, generator: Streams | None = None) -> Tensor:
        """Predict the remaining frames of a clip, uint8 (B, T - T', C, H, W), from its first T' frames.

        Raises:
            ValueError: The context fills a clip, or latent actions are given, which this model does not take.
        """
        if latents is not None or not 0 < context.shape[1] < self.frames:
            given = "latents" if latents is not None else f"{context.shape[1]} frames"
            raise ValueError(f"The rollout is given {given}; expected 1..{self.frames - 1} frames and nothing else.")
        codes = self.encode(context)
        for _ in range(self.frames - context.shape[1]):
            codes = torch.cat([codes, self._sample(codes, generator)], dim=1)
        return self.vqvae.decode(codes[:, context.shape[1] :])

    def _sample(self, codes: Tensor, generator: Streams | None) -> Tensor:
        """Sample the codes (B, 1, h, w, n) of the frame after codes (B, w, h, w, n)."""
        past = codes.flatten(2)
        passes, count = self.config.passes, past.shape[2]
        newest = sample_masked(
            lambda shown, hidden: self.logits(past, shown, hidden), len(past), count, passes, generator,
            device=past.device,
        )  # fmt: skip
        return newest.view(len(past), 1, *codes.shape[2:])

    @property
    def conditions(self) -> Conditions:
        """Nothing."""
        return Conditions("nothing")

    @property
    def look_back(self) -> LookBack:
        """Up to a window without its last frame."""
        return LookBack(1, self.frames - 1)

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """C, H, W."""
        own = self.config.vqvae
        return own.channels, own.image_size, own.image_size

    def remember(self, frames: Tensor) -> Tensor:
        """Encode frames as codes."""
        return self.encode(frames)

    @in_own_modes
    def next_frame(self, items: Tensor, told: Tensor | None, generator: Streams | None = None) -> tuple[Tensor, Tensor]:
        """Predict the next frames; see `SteppedWorldModel`."""
        if told is not None:
            raise ValueError("told is given; this model takes no conditions.")
        codes = self._sample(items, generator)
        return codes[:, 0], self.vqvae.decode(codes)[:, 0]
