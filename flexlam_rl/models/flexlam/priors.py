"""The priors: the paper's interleaved sequence model, the factored and the recurrent one, which predict codes, and the
continuous one, which predicts slot vectors by flow or mixture.

To add a prior over codes, write a `PretrainedModel` with the signatures of `SequenceModel.forward` and `loss`, whose
configuration has `slots`, `codes`, `image_size`, `frames`, `stride`, `width` and `ffn`, and a decoder with the methods
of `Decoder`; then add both to the table below.
"""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from flexlam_rl.models.flexlam.continuous.decode import ContinuousDecoder
from flexlam_rl.models.flexlam.continuous.model import ContinuousPrior
from flexlam_rl.models.flexlam.decode import Decoder
from flexlam_rl.models.flexlam.factored.decode import FactoredDecoder
from flexlam_rl.models.flexlam.factored.model import FactoredPrior
from flexlam_rl.models.flexlam.recurrent.decode import RecurrentDecoder
from flexlam_rl.models.flexlam.recurrent.model import RecurrentPrior
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.nn.places import CheckpointError
from flexlam_rl.nn.pretrained import saved_class

PriorName = Literal["interleaved", "factored", "recurrent", "continuous", "mixture"]
CodePrior = SequenceModel | FactoredPrior | RecurrentPrior
Prior = CodePrior | ContinuousPrior
PriorDecoder = Decoder | FactoredDecoder | RecurrentDecoder | ContinuousDecoder

CONTINUOUS: tuple[PriorName, ...] = ("continuous", "mixture")
"""Priors of slot vectors."""
OVER_TIME: tuple[PriorName, ...] = ("factored", "recurrent", *CONTINUOUS)
"""Priors with one token per past block, which train on whole windows."""


class Kind(NamedTuple):
    """Classes of a prior: model and decoder."""

    model: type[Any]
    decoder: type[Any]


PRIORS: dict[PriorName, Kind] = {
    "interleaved": Kind(SequenceModel, Decoder),
    "factored": Kind(FactoredPrior, FactoredDecoder),
    "recurrent": Kind(RecurrentPrior, RecurrentDecoder),
    "continuous": Kind(ContinuousPrior, ContinuousDecoder),
    "mixture": Kind(ContinuousPrior, ContinuousDecoder),
}


def load_prior(folder: str | Path, device: str | torch.device = "cpu") -> Prior:
    """Load a prior of any kind.

    Args:
        folder: Folder with config.json and model.safetensors, or a hub id "owner/name".
        device: Device of the weights.

    Raises:
        CheckpointError: The folder holds no prior, or a damaged one.
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
        prior: The prior, with its current weights.
        cache: Type of the cached keys and values; None for the prior's own.
        context: Number of frames that a decision sees; None for as many as in the prior's training.

    Raises:
        ValueError: `context` or `cache` is out of range.
    """
    decoder: PriorDecoder = next(kind.decoder for kind in PRIORS.values() if isinstance(prior, kind.model))(
        prior, cache, context
    )
    return decoder


def sees_all(prior: Prior) -> bool:
    """Whether decisions see the whole episode, so that no context can be chosen."""
    return isinstance(prior, RecurrentPrior)


def state_widths(prior: Prior) -> tuple[int, int]:
    """Widths of a prior's state before the first code, and of its state at each code."""
    config: Any = prior.config
    return config.width, config.width
