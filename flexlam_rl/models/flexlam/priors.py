"""The priors: the paper's interleaved sequence model over codes, the factored one, and the continuous one over slot
vectors, by flow or mixture.

To add one over codes, write a `PretrainedModel` with the signatures of `SequenceModel.forward` and `loss`, whose
configuration has `slots`, `codes`, `image_size`, `frames`, `stride`, `width` and `ffn`, and a decoder with those of
`Decoder`; then name both here.
"""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from flexlam_rl.models.flexlam.continuous.decode import ContinuousDecoder
from flexlam_rl.models.flexlam.continuous.model import ContinuousPrior
from flexlam_rl.models.flexlam.decode import Decoder
from flexlam_rl.models.flexlam.factored.decode import FactoredDecoder
from flexlam_rl.models.flexlam.factored.model import FactoredPrior
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.nn.places import CheckpointError
from flexlam_rl.nn.pretrained import saved_class

PriorName = Literal["interleaved", "factored", "continuous", "mixture"]
CodePrior = SequenceModel | FactoredPrior
Prior = CodePrior | ContinuousPrior
PriorDecoder = Decoder | FactoredDecoder | ContinuousDecoder

CONTINUOUS: tuple[PriorName, ...] = ("continuous", "mixture")
"""Priors of slot vectors."""
OVER_TIME: tuple[PriorName, ...] = ("factored", *CONTINUOUS)
"""Priors with one token per past block, which train on whole windows."""


class Kind(NamedTuple):
    """A prior's classes."""

    model: type[Any]
    decoder: type[Any]


PRIORS: dict[PriorName, Kind] = {
    "interleaved": Kind(SequenceModel, Decoder),
    "factored": Kind(FactoredPrior, FactoredDecoder),
    "continuous": Kind(ContinuousPrior, ContinuousDecoder),
    "mixture": Kind(ContinuousPrior, ContinuousDecoder),
}


def load_prior(folder: str | Path, device: str | torch.device = "cpu") -> Prior:
    """Load a prior of whichever kind.

    Args:
        folder: With config.json and model.safetensors, or a hub id "owner/name".
        device: Where the weights go.

    Raises:
        CheckpointError: It holds none, or a damaged one.
    """
    found = saved_class(folder)
    for kind in PRIORS.values():
        if kind.model.__name__ == found:
            prior: Prior = kind.model.from_pretrained(folder, device=device)
            return prior
    known = " or ".join(dict.fromkeys(repr(kind.model.__name__) for kind in PRIORS.values()))
    raise CheckpointError(f"{folder} holds a {found!r}; expected a {known}.")


def decoder_of(prior: Prior, cache: torch.dtype | None = None, context: int | None = None) -> PriorDecoder:
    """Make the decoder of a prior.

    Args:
        prior: Its weights as they are now.
        cache: Type of cached keys and values, None for the prior's own.
        context: Frames that a decision sees, None for as many as it was trained with.

    Raises:
        ValueError: `context` or `cache` is out of range.
    """
    decoder: PriorDecoder = next(kind.decoder for kind in PRIORS.values() if isinstance(prior, kind.model))(
        prior, cache, context
    )
    return decoder


def state_widths(prior: Prior) -> tuple[int, int]:
    """Widths of a prior's state before the first code, and of that at each code."""
    config: Any = prior.config
    return config.width, config.width
