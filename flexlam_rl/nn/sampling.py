"""Choices from logits, and the cross-entropy of given choices.

Shapes: B rows, V choices.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.nn.streams import Streams, uniform_rows


def choose(logits: Tensor, generator: Streams | None, temperature: float = 1.0, draws: Tensor | None = None) -> Tensor:
    """Choose (B,) from logits (B, V).

    Args:
        logits: Logits of every choice.
        generator: Random stream, or several, each for an equal part of the rows; if it and `draws` are None, the
            likeliest choice is taken (the lowest one among equals).
        temperature: Divisor of the logits when sampling.
        draws: Uniform numbers in [0, 1), (B,), instead of a generator; see `pick`.
    """
    if draws is not None:
        return pick(logits, draws, temperature)
    if generator is None:
        return logits.argmax(-1)
    if isinstance(generator, Sequence):
        return pick(logits, uniform_rows(generator, len(logits), logits.device), temperature)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]


def pick(logits: Tensor, draws: Tensor, temperature: float = 1.0) -> Tensor:
    """Choose (B,) from logits (B, V): the first choice whose cumulative probability exceeds the row's number in `draws`
    (B,), uniform in [0, 1).

    A row's choice depends only on its own number, so each environment can have its own random stream. Sums are computed
    in float64, because rounding of a sum over a thousand choices would change some choices.
    """
    sums = (logits.double() / temperature).softmax(-1).cumsum(-1)
    found = torch.searchsorted(sums, draws.to(sums)[:, None] * sums[:, -1:], right=True)[:, 0]
    return found.clamp_max(logits.shape[-1] - 1)


def code_losses(logits: Tensor, codes: Tensor) -> Tensor:
    """Compute the cross-entropy (...) of codes, int64 (...), under logits (..., V)."""
    losses = F.cross_entropy(logits.float().flatten(0, -2), codes.flatten(), reduction="none")
    return losses.view(codes.shape)
