"""The latent action model: encoder, FSQ bottleneck, retained prefix, flow decoder.

Shapes: B batch, C H W frame, M slots, d numbers a slot, V codes.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from vector_quantize_pytorch import FSQ

from flexlam_rl.models.checkpoint import PretrainedModel
from flexlam_rl.models.config import LAMConfig
from flexlam_rl.models.decoder import FlowDecoder, sample_tau
from flexlam_rl.models.encoder import TransitionEncoder
from flexlam_rl.models.prefix import PrefixLaw, null_fill, sample_prefix_lengths


class LAMLoss(NamedTuple):
    """What one training step gives: the mean loss, each example's loss and its prefix length, both (B,)."""

    loss: Tensor
    losses: Tensor
    lengths: Tensor


class LAM(PretrainedModel):
    """FlexLAM (`config.prefix`) or a Fixed-K model: the same code, another configuration."""

    config_class = LAMConfig
    heavy = ("encoder", "decoder")

    def __init__(self, config: LAMConfig) -> None:
        super().__init__()
        self.config = config
        dim = len(config.levels)
        self.encoder = TransitionEncoder(config.encoder, config.image_size, config.channels, config.slots, dim)
        self.fsq = FSQ(levels=list(config.levels))
        # codes lie in [-1, 1]; a null outside that range is told from every code by a linear layer
        self.null = nn.Parameter(torch.full((dim,), 1.5) + 0.1 * torch.randn(dim))
        # a Fixed-K model has no null: it never sees one, so it must not count as a parameter that learns
        self.null.requires_grad_(config.prefix)
        self.decoder = FlowDecoder(config.decoder, config.image_size, config.channels, config.slots, dim)

    @property
    def code_count(self) -> int:
        """V, the codes of one slot."""
        return int(self.fsq.codebook_size)

    def quantise(self, current: Tensor, following: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (B, C, H, W) twice to slot vectors (B, M, d) with straight-through gradient and codes int64 (B, M)."""
        vectors, codes = self.fsq(self.encoder(current, following).float())
        return vectors, codes.long()

    @torch.no_grad()
    def encode(self, current: Tensor, following: Tensor) -> Tensor:
        """The codes of transitions: frames (B, C, H, W) twice to int64 (B, M) in [0, V)."""
        return self.quantise(current, following)[1]

    def embed(self, codes: Tensor) -> Tensor:
        """Codes int (B..., M') to slot vectors (B..., M', d).

        Raises:
            ValueError: If a code lies outside [0, V).
        """
        if codes.numel() and (int(codes.min()) < 0 or int(codes.max()) >= self.code_count):
            raise ValueError(f"codes lie in {int(codes.min())}..{int(codes.max())}; expected 0..{self.code_count - 1}.")
        return self.fsq.indices_to_codes(codes.reshape(-1, 1)).reshape(*codes.shape, len(self.config.levels))

    def prefix_slots(self, codes: Tensor, lengths: Tensor | int) -> Tensor:
        """Null-filled slots (B, M, d) of the first `lengths` of `codes` (B, M') with lengths <= M' <= M."""
        m = self.config.slots
        given = codes.shape[-1]
        slots = torch.zeros(*codes.shape[:-1], m, len(self.config.levels), device=codes.device)
        slots[..., :given, :] = self.embed(codes)
        if isinstance(lengths, int):
            lengths = torch.full(codes.shape[:-1], lengths, device=codes.device)
        if bool((lengths > given).any()) or bool((lengths < 0).any()):
            raise ValueError(f"prefix length {int(lengths.max())} lies outside 0..{given}, the codes given.")
        return null_fill(slots, lengths, self.null)

    def lengths(self, batch: int, generator: torch.Generator, law: PrefixLaw = "uniform") -> Tensor:
        """Prefix lengths (B,) for training: drawn from 0..M for FlexLAM, M for Fixed-K."""
        if self.config.prefix:
            return sample_prefix_lengths(batch, self.config.slots, generator, law)
        return torch.full((batch,), self.config.slots, device=generator.device)

    def forward(self, current: Tensor, following: Tensor, generator: torch.Generator, law: PrefixLaw = "uniform") -> LAMLoss:
        """One training step's loss on frames (B, C, H, W) twice; all randomness comes from `generator`."""
        batch = len(current)
        lengths = self.lengths(batch, generator, law)
        tau = sample_tau(batch, self.config.decoder, generator)
        noise = torch.randn(current.shape, generator=generator, device=generator.device)
        vectors, _ = self.quantise(current, following)
        losses = self.decoder.loss(current, following, null_fill(vectors, lengths, self.null), tau, noise)
        return LAMLoss(losses.mean(), losses.detach(), lengths)

    @torch.no_grad()
    def decode(self, current: Tensor, codes: Tensor, budget: int | Tensor, steps: int = 8, generator: torch.Generator | None = None) -> Tensor:
        """Next frames as uint8 (B, C, H, W) from `current` and the first `budget` codes of (B, M')."""
        from flexlam_rl.models.blocks import to_bytes

        return to_bytes(self.decoder.sample(current, self.prefix_slots(codes, budget), steps, generator))
