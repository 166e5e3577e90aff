"""Finite scalar quantization: every number is rounded.

Shapes: `...` any leading dimensions, `d` numbers per slot.
"""

from math import prod

import torch
from torch import Tensor

from flexlam_rl.nn.quantizers.interface import Quantized, Quantizer, entropy_bits
from flexlam_rl.utils.numbers import real

MARGIN = 1e-3
"""Share by which the range exceeds the levels."""
REACH = 1.5
"""Numbers from -REACH to REACH meet every level. Beyond, the code does not change, and hardly any gradient passes."""


class FSQ(Quantizer):
    """Finite scalar quantization (Mentzer et al., 2023): each number is rounded to one of a few levels.

    Vectors lie in -1..1. The code of a vector counts its levels as digits, the first dimension's the least.

    Args:
        levels: Number of levels of each dimension; V is their product.
        saturation: Weight, in the loss, of the mean square by which the encoder's numbers exceed `REACH`; 0 (the paper)
            adds nothing. Without the term, a slot whose numbers drift outward keeps one code for all inputs and never
            recovers.

    Raises:
        ValueError: A dimension has fewer than 3 levels.
    """

    counts: Tensor
    places: Tensor

    def __init__(self, levels: tuple[int, ...], saturation: float = 0.0) -> None:
        super().__init__()
        self.saturation = real(saturation, "saturation")
        if not levels or min(levels) < 3:
            raise ValueError(f"levels is {levels}; expected at least 3 in each dimension.")
        self.dim, self.codes, self.levels = len(levels), prod(levels), tuple(levels)
        # no part of a checkpoint: they must hold numbers also in a model that is filled later
        with torch.device("cpu"):
            counts = torch.tensor(levels)
            self.register_buffer("counts", counts, persistent=False)
            self.register_buffer("places", counts.cumprod(0) // counts, persistent=False)

    def forward(self, z: Tensor, generator: torch.Generator | None = None) -> Quantized:
        numbers = z if z.dtype == torch.float64 else z.float()
        # equation 2 and appendix A.1: the range is a little larger than the levels, so that the outer ones are met
        half = (self.counts - 1).to(numbers.dtype) * (1 + MARGIN) / 2
        offset = (self.counts % 2 == 0).to(numbers.dtype) * 0.5
        bounded = (numbers + (offset / half).atanh()).tanh() * half - offset
        middle = self.counts // 2
        vectors = (bounded + (bounded.round() - bounded).detach()) / middle  # rounded, with the gradient of no rounding
        codes = self.codes_of(vectors)
        assert self.codes is not None
        beyond = torch.zeros((), dtype=torch.float32, device=z.device)
        if self.saturation:
            beyond = self.saturation * (z.float().abs() - REACH).clamp_min(0).square().mean()
        return Quantized(vectors.to(z.dtype), codes, beyond, entropy_bits(codes, self.codes))

    def codes_of(self, vectors: Tensor) -> Tensor:
        """Codes int64 (...) of vectors (..., d) that `lookup` gives, also after rounding to bfloat16."""
        middle = self.counts // 2
        return ((vectors * middle + middle) * self.places).sum(-1).round().long()

    def lookup(self, codes: Tensor) -> Tensor:
        middle = self.counts // 2
        return (codes[..., None] // self.places % self.counts - middle).float() / middle
