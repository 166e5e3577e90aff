"""The latent action model: encoder, FSQ bottleneck, retained prefix, flow decoder.

Shapes: B batch, C H W frame, M slots, d numbers a slot, V codes.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from flexlam_rl.models.flexlam.config import LAMConfig
from flexlam_rl.models.flexlam.decoder import FlowDecoder, sample_tau
from flexlam_rl.models.flexlam.encoder import TransitionEncoder
from flexlam_rl.nn.blocks import to_bytes
from flexlam_rl.nn.frames import check_frames
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.prefix import PrefixLaw, null_fill, sample_prefix_lengths
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.quantizer import Quantizer
from flexlam_rl.utils.numbers import whole


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
        # codes lie in [-1, 1]; a null outside that range is told from every code by a linear layer
        self.null = nn.Parameter(torch.full((dim,), 1.5) + 0.1 * torch.randn(dim))
        # a Fixed-K model has no null: it never sees one, so it must not count as a parameter that learns
        self.null.requires_grad_(config.prefix)
        self.decoder = FlowDecoder(config.decoder, config.image_size, config.channels, config.slots, dim)
        self.fsq = Quantizer(config.levels)
        if self.null.device.type != "meta":
            self.fsq.to(self.null.device)

    @property
    def code_count(self) -> int:
        """V, the codes of one slot."""
        return int(self.fsq.codebook_size)

    def quantise(self, current: Tensor, following: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (B, C, H, W) twice to slot vectors (B, M, d) with straight-through gradient and codes int64 (B, M)."""
        vectors, codes = self.fsq(self.encoder(current, following).float())
        return vectors, codes.long()

    @in_own_modes
    def encode(self, current: Tensor, following: Tensor) -> Tensor:
        """The codes of transitions: frames (B, C, H, W) twice to int64 (B, M) in [0, V).

        Raises:
            ValueError: Frames of another size or type, or with values that are none.
        """
        for frames in (current, following):
            check_frames(frames, self.config.channels, self.config.image_size)
        if len(current) != len(following):
            raise ValueError(
                f"There are {len(current)} current and {len(following)} following frames; expected as many."
            )
        return self.quantise(current, following)[1]

    def embed(self, codes: Tensor) -> Tensor:
        """Codes int (B..., M') to slot vectors (B..., M', d).

        Raises:
            ValueError: If a code is no integer or lies outside [0, V).
        """
        if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
            raise ValueError(f"codes have type {codes.dtype}; expected integers.")
        if codes.numel() and (int(codes.min()) < 0 or int(codes.max()) >= self.code_count):
            raise ValueError(f"codes lie in {int(codes.min())}..{int(codes.max())}; expected 0..{self.code_count - 1}.")
        return self.fsq.indices_to_codes(codes.reshape(-1, 1)).reshape(*codes.shape, len(self.config.levels))

    def prefix_slots(self, codes: Tensor, lengths: Tensor | int) -> Tensor:
        """Null-filled slots (B, M, d) of the first `lengths` of `codes` (B, M') with lengths <= M' <= M.

        Raises:
            ValueError: If there are more than M codes, or a code or a length lies outside its range.
        """
        m = self.config.slots
        given = codes.shape[-1]
        if given > m:
            raise ValueError(f"There are {given} codes; the model has {m} slots.")
        slots = torch.zeros(*codes.shape[:-1], m, len(self.config.levels), device=codes.device, dtype=torch.float32)
        slots[..., :given, :] = self.embed(codes)
        if not isinstance(lengths, Tensor):
            lengths = torch.full(codes.shape[:-1], whole(lengths, "prefix length"), device=codes.device)
        elif lengths.is_floating_point() or lengths.dtype == torch.bool:
            raise ValueError(f"Prefix lengths have type {lengths.dtype}; expected integers.")
        if bool((lengths > given).any()) or bool((lengths < 0).any()):
            wrong = int(lengths[(lengths > given) | (lengths < 0)][0])
            raise ValueError(f"prefix length {wrong} lies outside 0..{given}, the codes given.")
        return null_fill(slots, lengths, self.null)

    def lengths(self, batch: int, generator: torch.Generator, law: PrefixLaw = "uniform") -> Tensor:
        """Prefix lengths (B,) for training: drawn from 0..M for FlexLAM, M for Fixed-K."""
        if self.config.prefix:
            return sample_prefix_lengths(batch, self.config.slots, generator, law)
        return torch.full((batch,), self.config.slots, device=generator.device)

    def forward(
        self, current: Tensor, following: Tensor, generator: torch.Generator, law: PrefixLaw = "uniform"
    ) -> LAMLoss:
        """One training step's loss on frames (B, C, H, W) twice; all randomness comes from `generator`."""
        batch = len(current)
        lengths = self.lengths(batch, generator, law)
        tau = sample_tau(batch, self.config.decoder, generator)
        noise = torch.randn(current.shape, generator=generator, device=generator.device, dtype=torch.float32)
        vectors, _ = self.quantise(current, following)
        losses = self.decoder.loss(current, following, null_fill(vectors, lengths, self.null), tau, noise)
        return LAMLoss(losses.mean(), losses.detach(), lengths)

    @in_own_modes
    def decode(
        self,
        current: Tensor,
        codes: Tensor,
        budget: int | Tensor,
        steps: int = 8,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Next frames as uint8 (B, C, H, W) from `current` and the first `budget` codes of (B, M').

        Raises:
            ValueError: Frames, codes or a budget that are none of this model.
        """
        check_frames(current, self.config.channels, self.config.image_size)
        return to_bytes(self.decoder.sample(current, self.prefix_slots(codes, budget), steps, generator))
