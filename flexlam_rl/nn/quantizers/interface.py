"""Interface of quantizers, and how they are found by name.

A quantizer is one class with a name:

    @QUANTIZERS.register("mine")
    class Mine(Quantizer): ...

A latent action model names it in its configuration (`quantizer="mine"`). Another package adds one through the group of
entry points "flexlam_rl.quantizers". Shapes: `...` any leading dimensions, `d` numbers per slot, `n` numbers per slot
of the encoder.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from flexlam_rl.utils.registry import Registry


class Quantized(NamedTuple):
    """Result of a quantizer.

    Attributes:
        vectors: (..., d), with the gradient that trains the encoder.
        codes: int64 (...), None for a continuous quantizer.
        loss: Scalar that is added to the loss; 0 if there is none.
        usage: Bits per slot that are in use, a scalar: the entropy of the codes of all given slots together, or, for a
            continuous quantizer, the KL divergence from its prior. None if it is not measured.
    """

    vectors: Tensor
    codes: Tensor | None
    loss: Tensor
    usage: Tensor | None = None


class Quantizer(nn.Module, ABC):
    """The bottleneck of a latent action model, one slot at a time.

    Learned values that are not parameters, such as a codebook that follows its vectors, change only in `forward`, in
    training mode, on vectors that require gradients: as long as the encoder is frozen, so is the quantizer.

    Attributes:
        dim: d, the numbers per slot of its vectors.
        codes: V, the number of codes of a slot; None for a continuous quantizer, whose vectors are its latent actions.
        levels: Number of levels of each of the d numbers, if a code is one combination of them with the first number
            changing fastest; otherwise None.
    """

    dim: int
    codes: int | None
    levels: tuple[int, ...] | None = None

    @property
    def inputs(self) -> int:
        """n, the numbers per slot that it takes from the encoder."""
        return self.dim

    @abstractmethod
    def forward(self, z: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """Quantize the encoder's vectors.

        Args:
            z: (..., n).
            generator: Random stream of the noise in training, if the quantizer has any; with None there is no noise, so
                the same vectors give the same latent actions.
        """

    def lookup(self, codes: Tensor) -> Tensor:
        """Look up the vectors (..., d) of integer codes (...) in [0, V).

        Raises:
            ValueError: This quantizer is continuous.
        """
        raise ValueError(f"{type(self).__name__} has no codes: its latent actions are vectors.")


QUANTIZERS: Registry[type[Quantizer]] = Registry(
    "quantizer",
    {
        "fsq": "flexlam_rl.nn.quantizers.fsq:FSQ",
        "vq": "flexlam_rl.nn.quantizers.vq:VQ",
        "gaussian": "flexlam_rl.nn.quantizers.continuous:Gaussian",
        "identity": "flexlam_rl.nn.quantizers.continuous:Identity",
    },
    group="flexlam_rl.quantizers",
)


def build_quantizer(name: str, options: Mapping[str, Any]) -> Quantizer:
    """Make a quantizer.

    Args:
        name: Name in `QUANTIZERS`.
        options: Keyword arguments of the quantizer's class.

    Raises:
        ValueError: There is no such quantizer, an option is unknown or missing, or a value is not allowed.
    """
    kind = QUANTIZERS.get(name)
    parameters = inspect.signature(kind).parameters
    known = {option: p for option, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ValueError(
            f"the quantizer {name!r} has no option {unknown[0]!r}; its options are {', '.join(known) or 'none'}."
        )
    missing = [option for option, p in known.items() if p.default is p.empty and option not in options]
    if missing:
        raise ValueError(f"the quantizer {name!r} needs the option {missing[0]!r}.")
    return kind(**options)


def entropy_bits(codes: Tensor, count: int) -> Tensor:
    """Compute the entropy in bits, a scalar, of all codes int64 (...) in [0, `count`) together."""
    flat = codes.flatten()
    # counted without asking the device for the largest code, which bincount would do
    seen = torch.zeros(count, dtype=torch.float32, device=codes.device)
    seen.scatter_add_(0, flat, torch.ones_like(flat, dtype=torch.float32))
    shares = seen / max(1, len(flat))
    return -(shares * shares.clamp_min(1e-12).log2()).sum()
