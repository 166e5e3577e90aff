"""A prior run code by code: sampling, and likelihoods of incoming frames, with or without a cache.

Shapes: B clips, t h w grid, n codebooks, L codes in raster order, V codes, D width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from flexlam_rl.models.videogpt.prior import Prior, Told
from flexlam_rl.nn.gpt import Pair
from flexlam_rl.nn.kv_cache import KVCache
from flexlam_rl.nn.sampling import choose
from flexlam_rl.nn.streams import Streams


@dataclass
class Progress:
    """State of clips that are being generated or read; `Stepper` changes it in place."""

    cache: KVCache
    hidden: Tensor | None
    """Hidden state (B, D) that predicts the next code."""
    done: int
    """Number of codes so far."""
    conditions: Tensor | None
    """Conditions of all steps, (B, t, C)."""
    memory: list[Pair] | None


class Stepper:
    """Runs a prior on codes that come one after another, for B clips at once."""

    def __init__(self, prior: Prior) -> None:
        self.prior = prior

    def begin(self, rows: int, told: Told) -> Progress:
        """Begin `rows` clips; `told` holds the conditions of the whole clip."""
        prior = self.prior
        steps = prior.grid[0]
        cache = prior.gpt.empty(rows, steps * prior.per_step)
        progress = Progress(cache, None, 0, prior.conditions(told, rows, steps), prior.memory(told))
        self._run(progress, prior.start.expand(rows, 1, -1), 0)
        return progress

    def logits(self, progress: Progress) -> Tensor:
        """Compute logits (B, V) of the next code.

        Raises:
            ValueError: The clips are complete.
        """
        if progress.hidden is None:
            raise ValueError(f"All {progress.done} codes of these clips are there; expected incomplete clips.")
        return self.prior.head(progress.hidden)

    def append(self, progress: Progress, codes: Tensor) -> Tensor:
        """Append the next codes (B, m), and give their log-probabilities (B, m), in one pass.

        Raises:
            ValueError: There are more codes than are left of the clip.
        """
        left = self.prior.grid[0] * self.prior.per_step - progress.done
        if codes.shape[1] > left:
            raise ValueError(f"{codes.shape[1]} codes are given; {left} are left of the clip.")
        first = self.logits(progress)[:, None]
        progress.done += codes.shape[1]
        # the last code of a clip predicts nothing, so it needs no place
        place = progress.done - codes.shape[1] + 1
        tokens = self._embed(codes, place - 1)[:, : left - 1]
        rest = self._run(progress, tokens, place) if tokens.shape[1] else tokens
        if codes.shape[1] == left:
            progress.hidden = None
        logits = torch.cat([first, self.prior.head(rest)], dim=1)[:, : codes.shape[1]]
        return logits.float().log_softmax(-1).gather(-1, codes[..., None])[..., 0]

    def _embed(self, codes: Tensor, first: int) -> Tensor:
        book = (torch.arange(codes.shape[1], device=codes.device) + first) % self.prior.codebooks
        return self.prior.embed(codes + book * self.prior.codes)

    def _run(self, progress: Progress, x: Tensor, start: int) -> Tensor:
        prior, steps = self.prior, self.prior.grid[0]
        end = start + x.shape[1]
        condition = progress.conditions
        if condition is not None:
            condition = condition.repeat_interleave(prior.per_step, dim=1)[:, start:end]
        x = x + prior.places(steps)[start:end]
        hidden = prior.gpt.advance(progress.cache, x, start, prior.masks(steps), condition, progress.memory)
        progress.hidden = hidden[:, -1]
        return hidden


def sample_codes(
    prior: Prior,
    rows: int,
    told: Told,
    prime: Tensor | None = None,
    generator: Streams | None = None,
    temperature: float = 1.0,
    top: int | None = None,
    cached: bool = True,
    upto: int | None = None,
) -> Tensor:
    """Sample clips.

    Args:
        prior: The model.
        rows: B; ignored with `prime`.
        told: Conditions of the whole clip.
        prime: Codes (B, steps, h, w, n) of the first steps, which are kept as they are.
        generator: Random stream, or one per row; None takes the likeliest code each time.
        temperature: Divisor of the logits.
        top: Number of likeliest codes that may be drawn; None for all codes.
        cached: Cache keys and values; False recomputes everything for each code, with the same result.
        upto: Number of steps, including the first ones, after which to stop; None for the whole clip.

    Returns:
        Codes (B, t, h, w, n), or (B, upto, h, w, n).
    """
    steps, total = prior.grid[0], prior.grid[0] * prior.per_step
    rows = rows if prime is None else len(prime)
    codes = torch.zeros(rows, total, dtype=torch.long, device=prior.start.device)
    first = 0 if prime is None else prime[0].numel()
    stepper, progress = Stepper(prior), None
    if prime is not None:
        codes[:, :first] = prime.flatten(1)
    if cached:
        progress = stepper.begin(rows, told)
        if first:
            stepper.append(progress, codes[:, :first])
    end = total if upto is None else upto * prior.per_step
    for i in range(first, end):
        if progress is not None:
            logits = stepper.logits(progress)
        else:
            logits = prior.logits(codes.view(rows, steps, *prior.grid[1:], prior.codebooks), told)[:, i]
        logits = logits.float()
        if top is not None:
            least = logits.topk(min(top, logits.shape[-1]), dim=-1).values[:, -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
        codes[:, i] = choose(logits, generator, temperature)
        if progress is not None:
            stepper.append(progress, codes[:, i : i + 1])
    return codes[:, :end].view(rows, -1, *prior.grid[1:], prior.codebooks)
