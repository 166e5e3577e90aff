"""Finite scalar quantization whose numbers do not depend on torch's default dtype.

The library leaves the type of its constants to the default; these are float32, as training and every checkpoint have
them.
"""

import torch
from torch import Tensor
from vector_quantize_pytorch import FSQ


class Quantizer(FSQ):
    """`FSQ` with constants of the vectors' own type.

    Args:
        levels: Choices of each dimension.
    """

    _levels: Tensor

    def __init__(self, levels: tuple[int, ...]) -> None:
        # its tables are no part of a checkpoint: they must hold numbers also in a model that is filled later
        with torch.device("cpu"):
            super().__init__(levels=list(levels))

    def bound(self, z: Tensor, eps: float = 1e-3, hard_clamp: bool = False) -> Tensor:
        """Squeeze z (..., d) into its levels and round, with the gradient of no rounding."""
        half = (self._levels - 1).to(z.dtype) * (1 + eps) / 2
        offset = (self._levels % 2 == 0).to(z.dtype) * 0.5
        bounded = (z + (offset / half).atanh()).tanh() * half - offset
        return (bounded + (bounded.round() - bounded).detach()) / (self._levels // 2)

    def _scale_and_shift_inverse(self, zhat: Tensor) -> Tensor:
        half = self._levels // 2
        return (zhat - half).float() / half
