"""Stage 2: a GPT over the codes of a clip (dissertation, section 2.3).

Shapes: B clips, T frames, t h w grid, n codebooks, L = t h w n codes in raster order, V codes, D width, C numbers of
the condition, C H W frame.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.videogpt.config import VideoGPTConfig
from flexlam_rl.models.videogpt.masks import causal_masks
from flexlam_rl.models.videogpt.resnet import ResNet3D
from flexlam_rl.nn.gpt import GPT, Pair


class Told(NamedTuple):
    """Conditions of a prior besides the codes. Parts that it does not use are None."""

    actions: Tensor | None = None
    """int64 (B, T): the action that led to each frame, -1 where unknown."""
    latents: Tensor | None = None
    """(B, T, numbers): the latent action that led to each frame, 0 where unknown."""
    tasks: Tensor | None = None
    """int64 (B,): index of the task."""
    context: Tensor | None = None
    """Frames (B, T', C, H, W) in [-0.5, 0.5] that the prior sees."""


class Prior(nn.Module):
    """Predicts each code from those before it."""

    def __init__(self, config: VideoGPTConfig) -> None:
        super().__init__()
        self.config, own, codes = config.prior, config.prior, config.vqvae
        self.grid, self.codebooks, self.codes, self.down_time = (
            codes.grid,
            codes.codebooks,
            codes.codes,
            codes.down_time,
        )
        width = own.width
        self.start = nn.Parameter(torch.randn(width) * 0.02)
        self.embed = nn.Embedding(self.codebooks * self.codes, width)
        sizes = (*self.grid, self.codebooks)
        self.positions = nn.ParameterList([nn.Parameter(torch.randn(size, width) * 0.02) for size in sizes])
        self.condition = own.condition(self.down_time)
        self.gpt = GPT(
            width, own.depth, own.heads, own.hidden, own.dropout, self.condition, memory=own.context_frames > 0
        )
        self.context = (
            ResNet3D(codes.channels, own.resnet_depth, own.resnet_units, width) if own.context_frames else None
        )
        self.head = nn.Linear(width, self.codes)
        nn.init.normal_(self.embed.weight, std=0.02)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    @property
    def per_step(self) -> int:
        """Number of codes of one step of the grid along time."""
        return self.grid[1] * self.grid[2] * self.codebooks

    def masks(self, steps: int) -> tuple[Tensor, ...]:
        """Masks of the layers for a clip of `steps` steps of the grid."""
        sparse, local = self.config.attention == "sparse", self.config.local
        return causal_masks((steps, *self.grid[1:]), self.codebooks, sparse, local, str(self.start.device))

    def places(self, steps: int) -> Tensor:
        """Positions (L, D) of the codes of `steps` steps."""
        t, h, w, n = (position[:steps] if i == 0 else position for i, position in enumerate(self.positions))
        return (t[:, None, None, None] + h[:, None, None] + w[:, None] + n).flatten(0, 3)

    def tokens(self, codes: Tensor) -> Tensor:
        """Embed codes (B, L) as (B, L, D), without positions."""
        book = torch.arange(codes.shape[1], device=codes.device) % self.codebooks
        return self.embed(codes + book * self.codes)

    def conditions(self, told: Told, rows: int, steps: int) -> Tensor | None:
        """Compute the norms' condition for each step of the grid, (B, t, C).

        Raises:
            ValueError: A condition of the prior is missing, has another shape, or is out of range.
        """
        own, time = self.config, steps * self.down_time
        parts = []
        if own.actions:
            actions = self._given(told.actions, "actions", (rows, time))
            if actions.numel() and not -1 <= int(actions.min()) <= int(actions.max()) < own.actions:
                raise ValueError(
                    f"Actions lie in {int(actions.min())}..{int(actions.max())}; expected -1..{own.actions - 1}."
                )
            parts.append(F.one_hot(actions + 1, own.actions + 1).float().reshape(rows, steps, -1))
        if own.latents:
            latents = self._given(told.latents, "latents", (rows, time, own.latents))
            parts.append(latents.float().reshape(rows, steps, -1))
        if own.tasks:
            tasks = self._given(told.tasks, "tasks", (rows,))
            if not 0 <= int(tasks.min()) <= int(tasks.max()) < len(own.tasks):
                raise ValueError(f"Tasks have the indices {tasks.unique().tolist()}; expected 0..{len(own.tasks) - 1}.")
            parts.append(F.one_hot(tasks, len(own.tasks)).float()[:, None].expand(-1, steps, -1))
        return torch.cat(parts, -1) if parts else None

    def memory(self, told: Told) -> list[Pair] | None:
        """Compute the layers' keys and values of the frames that the prior sees.

        Raises:
            ValueError: The frames are missing.
        """
        if self.context is None:
            return None
        if told.context is None or told.context.shape[1] != self.config.context_frames:
            found = "none" if told.context is None else str(told.context.shape[1])
            raise ValueError(f"The prior is given {found} of the {self.config.context_frames} frames that it sees.")
        return self.gpt.remember(self.context(told.context))

    def logits(self, codes: Tensor, told: Told, generator: torch.Generator | None = None) -> Tensor:
        """Compute logits (B, L, V) of every code given those before it.

        Args:
            codes: (B, t, h, w, n), of a whole clip or of its first steps.
            told: The conditions.
            generator: Random stream of the dropout; None for no dropout.
        """
        rows, steps = codes.shape[:2]
        x = self.tokens(codes.flatten(1)[:, :-1])
        x = torch.cat([self.start.expand(rows, 1, -1), x], dim=1) + self.places(steps)
        condition = self.conditions(told, rows, steps)
        if condition is not None:
            condition = condition.repeat_interleave(self.per_step, dim=1)
        return self.head(self.gpt(x, self.masks(steps), condition, self.memory(told), generator))

    def log_probs(self, codes: Tensor, told: Told, generator: torch.Generator | None = None) -> Tensor:
        """Compute the log-probability (B, L), in nats, of each code given those before it."""
        logs = self.logits(codes, told, generator).float().log_softmax(-1)
        return logs.gather(-1, codes.flatten(1)[..., None])[..., 0]

    def _given(self, value: Tensor | None, name: str, shape: tuple[int, ...]) -> Tensor:
        if value is None or tuple(value.shape) != shape:
            found = "None" if value is None else f"of shape {tuple(value.shape)}"
            raise ValueError(f"{name} is {found}; this prior needs it of shape {shape}.")
        return value.to(self.start.device)
