"""What latent action models share: M slots of a quantizer, and the retained prefix.

A model derives from `SlotModel` and adds how it predicts what follows from the current frame and the slots. Shapes: B
batch, C H W frame, M slots, d numbers per slot, V codes.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from flexlam_rl.models.interfaces import LatentSpec
from flexlam_rl.nn.frames import check_frames
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.patch_embed import frame_size
from flexlam_rl.nn.prefix import PrefixDistribution, null_fill, sample_prefix_lengths
from flexlam_rl.nn.pretrained import PretrainedModel
from flexlam_rl.nn.quantizers import Quantized, Quantizer, build_quantizer
from flexlam_rl.utils.numbers import whole


class StepLoss(NamedTuple):
    """Result of a training step.

    Attributes:
        loss: The mean over the batch, with what the quantizer adds.
        losses: Of each example, (B,), without the quantizer's.
        lengths: Prefix length of each example, (B,).
        usage: Bits per slot in use, where the quantizer measures them.
    """

    loss: Tensor
    losses: Tensor
    lengths: Tensor
    usage: Tensor | None = None

    def figures(self) -> dict[str, Tensor]:
        """What a training step logs beside the loss."""
        return {} if self.usage is None else {"bits": self.usage}


def quantizer_of(config: Any) -> Quantizer:
    """The quantizer that a model's configuration names.

    Raises:
        ValueError: There is none of that name, or it does not take the options.
    """
    return build_quantizer(config.quantizer, config.quantizer_arguments())


def latent_spec(config: Any) -> LatentSpec:
    """What the latent actions of a model with this configuration consist of; no weights are made.

    Raises:
        ValueError: The quantizer is unknown, or does not take its options.
    """
    with torch.device("meta"):
        quantizer = quantizer_of(config)
    return LatentSpec(config.slots, quantizer.dim, quantizer.codes, config.prefix)


class SlotModel(PretrainedModel, ABC):
    """A latent action model with an encoder, a quantizer and a null.

    Its configuration has `image_size`, `channels`, `slots`, `prefix`, `quantizer` and `quantizer_arguments()`.
    """

    error_name: ClassVar[str]
    """What `prediction_error` measures, for tables."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.quantizer = quantizer_of(config)
        self.encoder = self.build_encoder(self.quantizer.inputs)
        # FSQ's vectors lie in [-1, 1]; a null outside that range is told from every code by a linear layer
        dim = self.quantizer.dim
        self.null = nn.Parameter(torch.full((dim,), 1.5) + 0.1 * torch.randn(dim))
        # without prefixes a model never sees its null, so that it must not count as a parameter that learns
        self.null.requires_grad_(config.prefix)
        if self.null.device.type != "meta":  # some quantizers make their tables on the CPU
            self.quantizer.to(self.null.device)

    def let_train(self) -> None:
        """Let all that trains ask for gradient, and nothing else, as in a new model."""
        self.requires_grad_(True)
        self.null.requires_grad_(self.config.prefix)

    @abstractmethod
    def build_encoder(self, out_dim: int) -> nn.Module:
        """Make what turns a transition, frames (B, C, H, W) twice, into (B, M, `out_dim`)."""

    @abstractmethod
    def predict(self, obs: Tensor, slots: Tensor, noise: Tensor) -> Tensor:
        """Predict what follows, with gradient: whatever the model predicts of the next frame, in its own terms.

        Args:
            obs: Current frames (B, C, H, W).
            slots: Null-filled (B, M, d).
            noise: (B, C, H, W), for models that start from noise.
        """

    @abstractmethod
    def prediction_error(self, obs: Tensor, next_obs: Tensor, slots: Tensor, noise: Tensor) -> Tensor:
        """Error of the model's own prediction of each transition, (B,); see `predict` for the rest."""

    @property
    def latent(self) -> LatentSpec:
        """What its latent actions consist of."""
        return LatentSpec(self.config.slots, self.quantizer.dim, self.quantizer.codes, self.config.prefix)

    @property
    def title(self) -> str:
        """What tables call the method."""
        return type(self).__name__

    @property
    def code_count(self) -> int:
        """V, the codes of one slot.

        Raises:
            ValueError: The latent actions are continuous.
        """
        if self.quantizer.codes is None:
            raise ValueError(f"The quantizer {self.config.quantizer!r} has no codes: its latent actions are vectors.")
        return self.quantizer.codes

    def quantize(self, obs: Tensor, next_obs: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """Frames (B, C, H, W) twice to slot vectors (B, M, d) with the gradient that trains, and codes int64 (B, M)
        where there are any; `generator` gives the noise of a training step.
        """
        return self.quantizer(self.encoder(obs, next_obs).float(), generator)

    @in_own_modes
    def encode(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """Give the latents of transitions: frames (B, C, H, W) twice to codes, int64 (B, M) in [0, V), or to vectors
        (B, M, d) where these are continuous.

        Raises:
            ValueError: Frames of another size or type, or with values that are none.
        """
        for frames in (obs, next_obs):
            check_frames(frames, self.config.channels, frame_size(self.config))
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
        if not isinstance(budget, Tensor):
            budget = torch.full(lead, whole(budget, "prefix length"), device=latents.device)
        elif budget.is_floating_point() or budget.dtype == torch.bool:
            raise ValueError(f"Prefix lengths have type {budget.dtype}; expected integers.")
        if bool((budget > given).any()) or bool((budget < 0).any()):
            wrong = int(budget[(budget > given) | (budget < 0)][0])
            raise ValueError(f"prefix length {wrong} lies outside 0..{given}, the codes given.")
        return self._filled(vectors, budget)

    def keep_prefix_unchecked(self, latents: Tensor, budget: Tensor) -> Tensor:
        """`keep_prefix` of latents of this model and budgets within them: values are not read, so that the host need
        not wait for the device.
        """
        return self._filled(latents if self.quantizer.codes is None else self.quantizer.lookup(latents), budget)

    def _filled(self, vectors: Tensor, budget: Tensor) -> Tensor:
        lead, given = vectors.shape[:-2], vectors.shape[-2]
        slots = torch.zeros(*lead, self.config.slots, self.quantizer.dim, device=vectors.device, dtype=torch.float32)
        slots[..., :given, :] = vectors
        return null_fill(slots, budget, self.null)

    def lengths(
        self, batch: int, generator: torch.Generator, prefix_distribution: PrefixDistribution = "uniform"
    ) -> Tensor:
        """Prefix lengths (B,) for training: drawn from 0..M where prefixes are retained, M elsewhere."""
        if self.config.prefix:
            return sample_prefix_lengths(batch, self.config.slots, generator, prefix_distribution)
        return torch.full((batch,), self.config.slots, device=generator.device)
