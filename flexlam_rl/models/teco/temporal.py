"""The transformer over time, which summarizes earlier frames and actions for the prediction of the next frame's codes.

Shapes: B clips, L frames seen, C channels of a latent, g g grid of latents, s s tokens per frame, D width, E size of a
step's embedding, O output channels.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.models.teco.blocks import PatchConv2d, PatchConvTranspose2d
from flexlam_rl.models.teco.config import WorldConfig
from flexlam_rl.nn.gpt import GPT


@lru_cache(maxsize=64)
def frame_mask(frames: int, tokens: int, device: str = "cpu") -> Tensor:
    """Attention mask, bool (L s s, L s s): a token sees all tokens of its own frame and of earlier ones."""
    frame = torch.arange(frames, device=device).repeat_interleave(tokens)
    return frame[:, None] >= frame[None, :]


class Steps(nn.Module):
    """Embeds the action or latent action that led to each frame.

    Args:
        config: Configuration of a model that is given actions or latent actions.
    """

    def __init__(self, config: WorldConfig) -> None:
        super().__init__()
        width = config.temporal.told
        self.actions, self.numbers = config.actions, config.latents
        # the first row stands for an unknown action
        self.table = nn.Embedding(config.actions + 1, width) if config.actions else None
        self.linear = nn.Linear(config.latents, width) if config.latents else None

    def forward(self, told: Tensor) -> Tensor:
        """Embed actions, int64 (B, L), -1 where unknown, or latent actions, (B, L, numbers), as (B, L, E).

        Raises:
            ValueError: The shape differs, or an action on the CPU is out of range.
        """
        if self.table is not None:
            if told.ndim != 2 or told.is_floating_point():
                raise ValueError(
                    f"Actions have shape {tuple(told.shape)} and type {told.dtype}; expected int64 (B, T)."
                )
            # on a GPU, the host would have to wait for the answer; the table checks its rows there
            if (
                told.device.type == "cpu"
                and told.numel()
                and not -1 <= int(told.min()) <= int(told.max()) < self.actions
            ):
                raise ValueError(
                    f"Actions lie in {int(told.min())}..{int(told.max())}; expected -1..{self.actions - 1}."
                )
            found: Tensor = self.table(told + 1)
            return found
        assert self.linear is not None
        if told.ndim != 3 or told.shape[-1] != self.numbers:
            raise ValueError(f"Latent actions have shape {tuple(told.shape)}; expected (B, T, {self.numbers}).")
        embedded: Tensor = self.linear(told.float())
        return embedded


class Temporal(nn.Module):
    """A strided convolution from latents to tokens, a causal transformer over them, and a transposed convolution back
    (equation 3.6).

    Args:
        config: Configuration of the model.
    """

    def __init__(self, config: WorldConfig) -> None:
        super().__init__()
        own, channels = config.temporal, config.dim
        self.side, factor, back = own.side, config.latent_side // own.side, config.grid // own.side
        self.steps = Steps(config) if config.actions or config.latents else None
        self.down = PatchConv2d(channels + (own.told if self.steps is not None else 0), own.width, factor)
        self.time = nn.Parameter(torch.randn(config.frames - 1, own.width) * 0.02)
        self.place = nn.Parameter(torch.randn(own.side**2, own.width) * 0.02)
        self.gpt = GPT(own.width, own.depth, own.heads, own.hidden)
        self.up = PatchConvTranspose2d(own.width, own.out, back)

    def forward(self, latents: Tensor, told: Tensor | None) -> Tensor:
        """Compute summaries of the past.

        Args:
            latents: (B, L, C, g, g).
            told: Conditions of the steps to the frame after each latent, as `Steps` takes them; None if the model takes
                none.

        Returns:
            (B, L, s s, D): row t summarizes latents 0 to t, and the condition of the step to frame t + 1.

        Raises:
            ValueError: There are more latents than the model looks back at, or the conditions do not fit the model.
        """
        count, seen = latents.shape[1], len(self.time)
        if not 1 <= count <= seen:
            raise ValueError(f"{count} frames are given; this model looks back at 1..{seen}.")
        if (told is None) != (self.steps is None):
            raise ValueError(f"Conditions are {'missing' if told is None else 'given'}; expected the opposite.")
        if self.steps is not None and told is not None:
            steps = self.steps(told)[..., None, None].expand(-1, -1, -1, *latents.shape[-2:])
            latents = torch.cat([latents, steps], dim=2)
        tokens = self.down(latents.flatten(0, 1))
        x = tokens.view(len(latents), count, *tokens.shape[1:]) + self.time[:count, None] + self.place
        mask = frame_mask(count, x.shape[2], str(x.device))
        return self.gpt(x.flatten(1, 2), (mask,)).view(x.shape)

    def expand(self, summaries: Tensor) -> Tensor:
        """Expand summaries (N, s s, D) to each place that the prior predicts, (N, O, h, w)."""
        told: Tensor = self.up(summaries)
        return told


def kept_times(rows: int, steps: int, drop: float, generator: torch.Generator) -> Tensor:
    """Draw the times that DropLoss keeps, int64 (`rows`, n), in order: a share 1 - `drop` of them, but at least one."""
    count = max(1, round((1.0 - drop) * steps))
    order = torch.rand(rows, steps, generator=generator, device=generator.device).argsort(-1)
    return order[:, :count].sort(-1).values


def at_times(values: Tensor, times: Tensor) -> Tensor:
    """Select values (B, T, ...) at times (B, n) of each row, as (B n, ...)."""
    rows = torch.arange(len(values), device=values.device)[:, None]
    return values[rows, times].flatten(0, 1)


def mean_cross_entropy(logits: Tensor, codes: Tensor) -> Tensor:
    """Compute the mean cross-entropy of codes (N, ...) under logits (N, V, ...)."""
    return F.cross_entropy(logits.float(), codes)
