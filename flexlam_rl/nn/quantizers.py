"""Quantizers: what turns the encoder's vectors into latent actions, and codes back into vectors.

A quantizer is one class with a name:

    @QUANTIZERS.register("mine")
    class Mine(Quantizer): ...

A latent action model names it in its configuration (`quantizer="mine"`); another package adds one through the group of
entry points "flexlam_rl.quantizers". Shapes: `...` any leading dimensions, `d` numbers per slot.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from vector_quantize_pytorch import FSQ as LibraryFSQ

from flexlam_rl.utils.registry import Registry


class Quantized(NamedTuple):
    """Result of a quantizer.

    Attributes:
        vectors: (..., d), with the gradient that trains the encoder.
        codes: int64 (...), None of a continuous quantizer.
        loss: What the quantizer adds to the loss, a number; 0 where it adds nothing.
    """

    vectors: Tensor
    codes: Tensor | None
    loss: Tensor


class Quantizer(nn.Module, ABC):
    """The bottleneck of a latent action model, one slot at a time.

    Attributes:
        dim: d, numbers per slot, of its input and of its vectors.
        codes: V, how many codes a slot can have; None of a continuous quantizer, whose vectors are its latent actions.
    """

    dim: int
    codes: int | None

    @abstractmethod
    def forward(self, z: Tensor) -> Quantized:
        """Quantize the encoder's vectors z (..., d)."""

    def lookup(self, codes: Tensor) -> Tensor:
        """Vectors (..., d) of integer codes (...) in [0, V).

        Raises:
            ValueError: This quantizer is continuous.
        """
        raise ValueError(f"{type(self).__name__} has no codes: its latent actions are vectors.")


QUANTIZERS: Registry[type[Quantizer]] = Registry(
    "quantizer", {"fsq": "flexlam_rl.nn.quantizers:FSQ"}, group="flexlam_rl.quantizers"
)


class FSQ(Quantizer):
    """Finite scalar quantization (Mentzer et al., 2023): each number is rounded to one of a few levels.

    Args:
        levels: Number of levels of each dimension; V is their product.
    """

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        # its tables are no part of a checkpoint: they must hold numbers also in a model that is filled later
        with torch.device("cpu"):
            self.table = _Float32FSQ(levels=list(levels))
        self.dim, self.codes = len(levels), int(self.table.codebook_size)

    def forward(self, z: Tensor) -> Quantized:
        vectors, codes = self.table(z)
        return Quantized(vectors, codes.long(), torch.zeros((), dtype=torch.float32, device=z.device))

    def lookup(self, codes: Tensor) -> Tensor:
        return self.table.indices_to_codes(codes.reshape(-1, 1)).reshape(*codes.shape, self.dim)


class _Float32FSQ(LibraryFSQ):
    """The library's, whose numbers do not depend on torch's default dtype: constants have the vectors' own type."""

    _levels: Tensor

    def bound(self, z: Tensor, eps: float = 1e-3, hard_clamp: bool = False) -> Tensor:
        """Squeeze z (..., d) into its levels and round, with the gradient of no rounding."""
        half = (self._levels - 1).to(z.dtype) * (1 + eps) / 2
        offset = (self._levels % 2 == 0).to(z.dtype) * 0.5
        bounded = (z + (offset / half).atanh()).tanh() * half - offset
        return (bounded + (bounded.round() - bounded).detach()) / (self._levels // 2)

    def _scale_and_shift_inverse(self, zhat: Tensor) -> Tensor:
        half = self._levels // 2
        return (zhat - half).float() / half
