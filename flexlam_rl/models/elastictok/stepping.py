"""ElasticTok block by block with a cache of earlier blocks, and the search for each block's length (algorithm 2).

Shapes: B clips, T frames, C H W frame, n blocks of N tokens.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from flexlam_rl.models.elastictok.elastictok import ElasticTok, squared_error
from flexlam_rl.models.elastictok.regressor import LengthRegressor
from flexlam_rl.models.elastictok.trunk import Trunk, check_clips, to_clips, to_tokens
from flexlam_rl.nn.kv_cache import CachedTransformer
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.prefix_search import How, search

Distance = Callable[[Tensor, Tensor], Tensor]
"""Distance (B,) between frames (B, T, C, H, W) and their reconstruction, both in [-1, 1]. Any number can be used; it
need not be differentiable.
"""


class Step(NamedTuple):
    """A block at given lengths: latents (B, N) or (B, N, d), and its reconstruction, float (B, T, C, H, W)."""

    latents: Tensor
    frames: Tensor


class Searched(NamedTuple):
    """Result of a search over clips.

    Attributes:
        latents: Latents as from `ElasticTok.encode`.
        lengths: int64 (B, n).
        met: bool (B, n), whether the block meets the threshold at its length.
        evaluations: int64 (B, n), passes through encoder and decoder that the search needed.
        costs: float (B, n), the distance of each block at its length.
        frames: Reconstructed clips, float (B, T, C, H, W), about in [-1, 1].
    """

    latents: Tensor
    lengths: Tensor
    met: Tensor
    evaluations: Tensor
    costs: Tensor
    frames: Tensor


class _CachedTrunk:
    """A trunk with a cache of the keys and values of earlier blocks."""

    def __init__(self, trunk: Trunk, rows: int, size: int) -> None:
        self.trunk = trunk
        self.transformer = CachedTransformer(trunk.transformer, trunk.heads, torch.float32)
        self.cache = self.transformer.empty(rows, size)

    def block(self, x: Tensor, added: Tensor | None, first: int) -> Tensor:
        """Hidden states of the block that begins at token `first`; its cache entries are overwritten each time."""
        end = first + x.shape[1]
        cos, sin = (part[None, None] for part in self.trunk.places(first, x.shape[1]))
        every = torch.zeros(1, 1, x.shape[1], end, device=x.device)
        turns, tokens = self.transformer.turns(cos, sin), slice(None)
        embedded = self.trunk.embed(x, added)
        return self.transformer.advance(self.cache, embedded, turns, every, [(tokens, slice(first, end))])


class Stepper:
    """Runs a model on clips block by block. It holds copies of the model's current weights.

    Args:
        model: The autoencoder.
        rows: B, number of clips.
        blocks: Largest number of blocks per clip.
    """

    @in_own_modes
    def __init__(self, model: ElasticTok, rows: int, blocks: int) -> None:
        self.model, self.first, self.size = model, 0, blocks * model.config.tokens
        self.encoder, self.decoder = (_CachedTrunk(trunk, rows, self.size) for trunk in (model.encoder, model.decoder))

    @in_own_modes
    def run(self, frames: Tensor, lengths: Tensor) -> Step:
        """Encode and decode the current block, given the blocks that were kept; may be repeated.

        Args:
            frames: The block, (B, T, C, H, W).
            lengths: int64 (B,).

        Raises:
            ValueError: All blocks have been kept.
        """
        model, config = self.model, self.model.config
        if self.first >= self.size:
            raise ValueError(f"All {self.size // config.tokens} blocks have been kept.")
        each = lengths[:, None]
        hidden = self.encoder.block(to_tokens(frames, config), model.marks(each), self.first)
        coded = model.cut(hidden, each)
        pixels = model.pixels(self.decoder.block(coded.kept, None, self.first))
        return Step(model.latents(coded.quantized)[:, 0], to_clips(pixels, config))

    def keep(self) -> None:
        """Keep the current block at the lengths of the last `run`, and go on to the next block."""
        self.first += self.model.config.tokens


@in_own_modes
def search_clips(
    model: ElasticTok,
    frames: Tensor,
    threshold: float | Tensor,
    how: How = "binary",
    *,
    bins: int = 100,
    distance: Distance = squared_error,
    regressor: LengthRegressor | None = None,
) -> Searched:
    """Find the shortest latents of clips whose blocks are all good enough, block by block.

    Args:
        model: The autoencoder, in evaluation mode.
        frames: Clips (B, T, C, H, W) of whole blocks.
        threshold: Largest distance that is good enough: one number, or one per clip (B,).
        how: "full", "binned", "binary", or "regressed"; see `flexlam_rl.nn.prefix_search`.
        bins: Number of lengths that "binned" evaluates.
        distance: The distance that is compared with the threshold.
        regressor: Guesses the lengths for "regressed", or the start of the search for "binary".

    Raises:
        ValueError: The clips do not fit the model, the search lacks its regressor, or the regressor is of another
            model.
    """
    config = model.config
    check_clips(frames, config)
    if how == "regressed" and regressor is None:
        raise ValueError("how is 'regressed', but no regressor is given.")
    if regressor is not None and regressor.config.tokenizer.tokens != config.tokens:
        raise ValueError(
            f"The regressor is for {regressor.config.tokenizer.tokens} tokens per block; the model has {config.tokens}."
        )
    frames = frames.to(model.null.device)
    rows, blocks = len(frames), frames.shape[1] // config.frames
    guesses = None if regressor is None else regressor.guess(frames, threshold)
    stepper = Stepper(model, rows, blocks)
    found: list[tuple[Tensor, ...]] = []
    for i, part in enumerate(frames.split(config.frames, dim=1)):
        result = search(
            lambda lengths, part=part: distance(part, stepper.run(part, lengths).frames),  # type: ignore[misc]
            rows, config.longest, threshold, how, least=config.least, bins=bins,
            start=None if guesses is None else guesses[:, i], device=frames.device,
        )  # fmt: skip
        step = stepper.run(part, result.lengths)
        stepper.keep()
        found.append((step.latents, *result, distance(part, step.frames), step.frames))
    latents, lengths, met, evaluations, costs, rebuilt = zip(*found, strict=True)
    columns = [torch.stack(x, 1) for x in (latents, lengths, met, evaluations, costs)]
    return Searched._make([*columns, torch.cat(rebuilt, 1)])
