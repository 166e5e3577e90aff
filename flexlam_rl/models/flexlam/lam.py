"""The latent action model: encoder, quantizer, retained prefix, flow decoder.

Shapes: B batch, C H W frame, M slots, d numbers per slot, V codes.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from flexlam_rl.models.flexlam.config import LAMConfig
from flexlam_rl.models.flexlam.decoder import FlowDecoder
from flexlam_rl.models.flexlam.encoder import TransitionEncoder
from flexlam_rl.models.interfaces import LatentSpec, StepOutput
from flexlam_rl.nn.flow_matching import sample_times
from flexlam_rl.nn.frames import check_frames, to_bytes
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.prefix import PrefixDistribution, null_fill, sample_prefix_lengths
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.quantizers import QUANTIZERS, Quantized
from flexlam_rl.utils.numbers import whole


class LAMLoss(NamedTuple):
    """Result of a training step: the mean loss, each example's loss and its prefix length, both (B,)."""

    loss: Tensor
    losses: Tensor
    lengths: Tensor


class LAM(PretrainedModel):
    """FlexLAM (`config.prefix`) or a Fixed-K model: the same code, another configuration."""

    config_class = LAMConfig
    compiled_parts = ("encoder", "decoder")

    def __init__(self, config: LAMConfig) -> None:
        super().__init__()
        self.config = config
        self.quantizer = QUANTIZERS.get(config.quantizer)(**config.quantizer_arguments())
        dim = self.quantizer.dim
        self.encoder = TransitionEncoder(config.encoder, config.image_size, config.channels, config.slots, dim)
        # codes lie in [-1, 1]; a null outside that range is told from every code by a linear layer
        self.null = nn.Parameter(torch.full((dim,), 1.5) + 0.1 * torch.randn(dim))
        # a Fixed-K model has no null: it never sees one, so it must not count as a parameter that learns
        self.null.requires_grad_(config.prefix)
        self.decoder = FlowDecoder(config.decoder, config.image_size, config.channels, config.slots, dim)
        if self.null.device.type != "meta":
            self.quantizer.to(self.null.device)

    @property
    def latent(self) -> LatentSpec:
        """What its latent actions consist of."""
        return LatentSpec(self.config.slots, self.quantizer.dim, self.quantizer.codes, self.config.prefix)

    @property
    def code_count(self) -> int:
        """V, the codes of one slot.

        Raises:
            ValueError: The latent actions are continuous.
        """
        if self.quantizer.codes is None:
            raise ValueError(f"The quantizer {self.config.quantizer!r} has no codes: its latent actions are vectors.")
        return self.quantizer.codes

    def quantize(self, obs: Tensor, next_obs: Tensor) -> Quantized:
        """Frames (B, C, H, W) twice to slot vectors (B, M, d) with the gradient that trains, and codes int64 (B, M)."""
        return self.quantizer(self.encoder(obs, next_obs).float())

    @in_own_modes
    def encode(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """Give the latents of transitions: frames (B, C, H, W) twice to codes, int64 (B, M) in [0, V), or to vectors
        (B, M, d) where these are continuous.

        Raises:
            ValueError: Frames of another size or type, or with values that are none.
        """
        for frames in (obs, next_obs):
            check_frames(frames, self.config.channels, self.config.image_size)
        if len(obs) != len(next_obs):
            raise ValueError(f"There are {len(obs)} current and {len(next_obs)} following frames; expected as many.")
        quantized = self.quantize(obs, next_obs)
        return quantized.vectors if quantized.codes is None else quantized.codes

    def embed(self, latents: Tensor) -> Tensor:
        """Latents, codes int (B..., M') or vectors (B..., M', d), to slot vectors (B..., M', d).

        Raises:
            ValueError: If a code is no integer or lies outside [0, V), or vectors are none of this model.
        """
        if self.quantizer.codes is None:
            if not latents.is_floating_point() or latents.shape[-1:] != (self.quantizer.dim,):
                raise ValueError(
                    f"latents have type {latents.dtype} and shape {tuple(latents.shape)}; expected vectors of "
                    f"{self.quantizer.dim} numbers."
                )
            return latents.float()
        if latents.is_floating_point() or latents.is_complex() or latents.dtype == torch.bool:
            raise ValueError(f"codes have type {latents.dtype}; expected integers.")
        if latents.numel() and (int(latents.min()) < 0 or int(latents.max()) >= self.code_count):
            found = f"{int(latents.min())}..{int(latents.max())}"
            raise ValueError(f"codes lie in {found}; expected 0..{self.code_count - 1}.")
        return self.quantizer.lookup(latents)

    def keep_prefix(self, latents: Tensor, budget: Tensor | int) -> Tensor:
        """Null-filled slots (B, M, d) of the first `budget` of the latents of M' slots, with budget <= M' <= M.

        Raises:
            ValueError: If there are more than M slots, or a code or a budget lies outside its range.
        """
        m, vectors = self.config.slots, self.embed(latents)
        lead, given = vectors.shape[:-2], vectors.shape[-2]
        if given > m:
            raise ValueError(f"There are {given} codes; the model has {m} slots.")
        slots = torch.zeros(*lead, m, self.quantizer.dim, device=latents.device, dtype=torch.float32)
        slots[..., :given, :] = vectors
        if not isinstance(budget, Tensor):
            budget = torch.full(lead, whole(budget, "prefix length"), device=latents.device)
        elif budget.is_floating_point() or budget.dtype == torch.bool:
            raise ValueError(f"Prefix lengths have type {budget.dtype}; expected integers.")
        if bool((budget > given).any()) or bool((budget < 0).any()):
            wrong = int(budget[(budget > given) | (budget < 0)][0])
            raise ValueError(f"prefix length {wrong} lies outside 0..{given}, the codes given.")
        return null_fill(slots, budget, self.null)

    prefix_slots = keep_prefix
    """The name of version 0.1."""

    def lengths(
        self, batch: int, generator: torch.Generator, prefix_distribution: PrefixDistribution = "uniform"
    ) -> Tensor:
        """Prefix lengths (B,) for training: drawn from 0..M for FlexLAM, M for Fixed-K."""
        if self.config.prefix:
            return sample_prefix_lengths(batch, self.config.slots, generator, prefix_distribution)
        return torch.full((batch,), self.config.slots, device=generator.device)

    def forward(
        self,
        obs: Tensor,
        next_obs: Tensor,
        generator: torch.Generator,
        prefix_distribution: PrefixDistribution = "uniform",
    ) -> LAMLoss:
        """One training step's loss on frames (B, C, H, W) twice; all randomness comes from `generator`."""
        batch, flow = len(obs), self.config.decoder
        lengths = self.lengths(batch, generator, prefix_distribution)
        tau = sample_times(batch, generator, flow.noise_share, flow.tau_mean, flow.tau_std)
        noise = torch.randn(obs.shape, generator=generator, device=generator.device, dtype=torch.float32)
        quantized = self.quantize(obs, next_obs)
        losses = self.decoder.loss(obs, next_obs, null_fill(quantized.vectors, lengths, self.null), tau, noise)
        return LAMLoss(losses.mean() + quantized.loss, losses.detach(), lengths)

    def loss(
        self,
        batch: Mapping[str, Tensor],
        generator: torch.Generator,
        prefix_distribution: PrefixDistribution = "uniform",
    ) -> StepOutput:
        """Compute the loss of a batch with "obs" and "next_obs" frames, (B, C, H, W) each."""
        return StepOutput(self(batch["obs"], batch["next_obs"], generator, prefix_distribution).loss, {})

    @in_own_modes
    def decode(
        self,
        obs: Tensor,
        latents: Tensor,
        budget: int | Tensor,
        steps: int = 8,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Predict next frames, uint8 (B, C, H, W), from the current ones and the first `budget` of their latents.

        Raises:
            ValueError: Frames, latents or a budget that are none of this model.
        """
        check_frames(obs, self.config.channels, self.config.image_size)
        return to_bytes(self.decoder.sample(obs, self.keep_prefix(latents, budget), steps, generator))

    def rollout(
        self, context: Tensor, latents: Tensor, generator: torch.Generator | None = None, steps: int = 8
    ) -> Tensor:
        """Predict video, each frame from the one before it.

        Args:
            context: Frames (B, T, C, H, W), of which the last one counts.
            latents: Of each step ahead, codes (B, horizon, K) or vectors (B, horizon, K, d), K <= M.
            generator: Stream of the noise.
            steps: Euler steps per frame.

        Returns:
            uint8 (B, horizon, C, H, W).

        Raises:
            ValueError: Frames or latents that are none of this model.
        """
        obs, frames = context[:, -1], []
        for step in latents.unbind(1):
            obs = self.decode(obs, step, step.shape[1], steps, generator)
            frames.append(obs)
        return torch.stack(frames, 1)
