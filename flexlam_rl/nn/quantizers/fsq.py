"""Finite scalar quantization: every number is rounded.

Shapes: `...` any leading dimensions, `d` numbers per slot.
"""

import torch
from torch import Tensor
from vector_quantize_pytorch import FSQ as LibraryFSQ

from flexlam_rl.nn.quantizers.interface import Quantized, Quantizer, entropy_bits
from flexlam_rl.utils.numbers import real

REACH = 1.5
"""Numbers from -REACH to REACH meet every level. Beyond, the code does not change, and hardly any gradient passes."""


class FSQ(Quantizer):
    """Finite scalar quantization (Mentzer et al., 2023): each number is rounded to one of a few levels.

    Args:
        levels: Number of levels of each dimension; V is their product.
        saturation: Weight, in the loss, of the mean square by which the encoder's numbers exceed `REACH`; 0 (the paper)
            adds nothing. Without the term, a slot whose numbers drift outward keeps one code for all inputs and never
            recovers.
    """

    def __init__(self, levels: tuple[int, ...], saturation: float = 0.0) -> None:
        super().__init__()
        self.saturation = real(saturation, "saturation")
        # its tables are no part of a checkpoint: they must hold numbers also in a model that is filled later
        with torch.device("cpu"):
            self.table = _Float32FSQ(levels=list(levels))
        self.dim, self.codes, self.levels = len(levels), int(self.table.codebook_size), tuple(levels)

    def forward(self, z: Tensor, generator: torch.Generator | None = None) -> Quantized:
        vectors, codes = self.table(z)
        codes = codes.long()
        assert self.codes is not None
        beyond = torch.zeros((), dtype=torch.float32, device=z.device)
        if self.saturation:
            beyond = self.saturation * (z.float().abs() - REACH).clamp_min(0).square().mean()
        return Quantized(vectors, codes, beyond, entropy_bits(codes, self.codes))

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
