"""Base of latent action models: M slots of a quantizer, and the retained prefix.

Models derive from `SlotModel` and add how they predict what follows from the current frame and the slots. Shapes: B
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
        loss: Mean over the batch, plus the quantizer's loss.
        losses: Loss of each example, (B,), without the quantizer's.
        lengths: Prefix length of each example, (B,).
        usage: Bits per slot in use, if the quantizer measures them.
    """

    loss: Tensor
    losses: Tensor
    lengths: Tensor
    usage: Tensor | None = None

    def figures(self) -> dict[str, Tensor]:
        """Figures that a training step logs beside the loss."""
        return {} if self.usage is None else {"bits": self.usage}


def quantizer_of(config: Any) -> Quantizer:
    """Make the quantizer that a model's configuration names.

    Raises:
        ValueError: There is no quantizer of that name, or it does not take the options.
    """
    return build_quantizer(config.quantizer, config.quantizer_arguments())


def latent_spec(config: Any) -> LatentSpec:
    """Find the structure of the latent actions of a configuration, without making a model.

    Raises:
        ValueError: The quantizer is unknown, or does not take its options.
    """
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        quantizer = quantizer_of(config)
    return LatentSpec(config.slots, quantizer.dim, quantizer.codes, config.prefix)


class SlotModel(PretrainedModel, ABC):
    """Latent action model with an encoder, a quantizer and a null.

    Its configuration has `image_size`, `channels`, `slots`, `prefix`, `quantizer` and `quantizer_arguments()`.
    """

    error_name: ClassVar[str]
    """What `prediction_error` measures, for tables."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.quantizer = quantizer_of(config)
        self.encoder = self.build_encoder(self.quantizer.inputs)
        self.norm: nn.Module = nn.Identity()  # between both; a model may put another in its place
        # FSQ's vectors lie in [-1, 1]; a linear layer can tell a null outside that range from every code
        dim = self.quantizer.dim
        self.null = nn.Parameter(torch.full((dim,), 1.5) + 0.1 * torch.randn(dim))
        # without prefixes, a model never uses its null, so it must not count as a parameter that trains
        self.null.requires_grad_(config.prefix)
        if self.null.device.type != "meta":  # some quantizers make their tables on the CPU
            self.quantizer.to(self.null.device)

    def let_train(self) -> None:
        """Let all parameters that train require gradients, and no others, as in a new model."""
        self.requires_grad_(True)
        self.null.requires_grad_(self.config.prefix)

    @abstractmethod
    def build_encoder(self, out_dim: int) -> nn.Module:
        """Make the encoder of transitions: from two frames (B, C, H, W) to (B, M, `out_dim`)."""

    @abstractmethod
    def predict(self, obs: Tensor, slots: Tensor, noise: Tensor) -> Tensor:
        """Predict what follows, with gradients; what is predicted of the next frame depends on the model.

        Args:
            obs: Current frames (B, C, H, W).
            slots: Null-filled (B, M, d).
            noise: (B, C, H, W), for models that start from noise.
        """

    @abstractmethod
    def prediction_error(self, obs: Tensor, next_obs: Tensor, slots: Tensor, noise: Tensor) -> Tensor:
        """Compute the error of the model's own prediction of each transition, (B,); arguments as for `predict`."""

    @property
    def latent(self) -> LatentSpec:
        """Structure of the model's latent actions."""
        return LatentSpec(self.config.slots, self.quantizer.dim, self.quantizer.codes, self.config.prefix)

    @property
    def title(self) -> str:
        """Name of the method in tables."""
        return type(self).__name__

    @property
    def code_count(self) -> int:
        """V, the number of codes of a slot.

        Raises:
            ValueError: The latent actions are continuous.
        """
        if self.quantizer.codes is None:
            raise ValueError(f"The quantizer {self.config.quantizer!r} has no codes: its latent actions are vectors.")
        return self.quantizer.codes

    def quantize(self, obs: Tensor, next_obs: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """Encode transitions between two frames (B, C, H, W) as slot vectors (B, M, d), with gradients, and codes int64
        (B, M) if there are any; `generator` is the random stream of the noise in training.
        """
        return self.quantizer(self.norm(self.encoder(obs, next_obs).float()), generator)

    @in_own_modes
    def encode(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """Encode transitions between two frames (B, C, H, W) as latents: codes, int64 (B, M) in [0, V), or vectors (B,
        M, d) if latent actions are continuous.

        Raises:
            ValueError: Frames have another size or type, or values out of range.
        """
        for frames in (obs, next_obs):
            check_frames(frames, self.config.channels, frame_size(self.config))
        if len(obs) != len(next_obs):
            raise ValueError(f"There are {len(obs)} current and {len(next_obs)} following frames; expected the same.")
        quantized = self.quantize(obs, next_obs)
        return quantized.vectors if quantized.codes is None else quantized.codes

    def embed(self, latents: Tensor) -> Tensor:
        """Turn latents, codes int (B..., M') or vectors (B..., M', d), into slot vectors (B..., M', d).

        Raises:
            ValueError: Codes are not integers or lie outside [0, V), or vectors do not fit this model.
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
        """Give null-filled slots (B, M, d) with the first `budget` of the latents' M' slots kept; budget <= M' <= M.

        Raises:
            ValueError: There are more than M slots, or a code or a budget is out of range.
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
            raise ValueError(f"prefix length {wrong} lies outside 0..{given}; {given} codes are given.")
        return self._filled(vectors, budget)

    def keep_prefix_unchecked(self, latents: Tensor, budget: Tensor) -> Tensor:
        """Compute `keep_prefix` without checking latents and budgets, so that the host need not wait for the device."""
        return self._filled(latents if self.quantizer.codes is None else self.quantizer.lookup(latents), budget)

    def _filled(self, vectors: Tensor, budget: Tensor) -> Tensor:
        lead, given = vectors.shape[:-2], vectors.shape[-2]
        slots = torch.zeros(*lead, self.config.slots, self.quantizer.dim, device=vectors.device, dtype=torch.float32)
        slots[..., :given, :] = vectors
        return null_fill(slots, budget, self.null)

    def lengths(
        self, batch: int, generator: torch.Generator, prefix_distribution: PrefixDistribution = "uniform"
    ) -> Tensor:
        """Give prefix lengths (B,) for training: drawn from 0..M if prefixes are retained, otherwise M."""
        if self.config.prefix:
            return sample_prefix_lengths(batch, self.config.slots, generator, prefix_distribution)
        return torch.full((batch,), self.config.slots, device=generator.device)
