"""Subjects of the audit: a latent action model at its budgets, or the change of a frozen network's features.

Legend: `B` transitions, `C H W` frame, `M` slots, `d` numbers per slot, `K` budget, `F` features.
"""

from typing import Any, Protocol

import torch
from torch import Tensor

from flexlam_rl.eval.lam.metrics import Transitions, encode
from flexlam_rl.eval.lam.probe import latent_features
from flexlam_rl.eval.video.extractors import make_extractor
from flexlam_rl.models.pixel_model import PixelModel
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.frames import to_unit

_CHUNK = 64


class Subject(Protocol):
    """A subject of the audit, which turns transitions into vectors."""

    title: str
    budgets: list[int]
    decoder: PixelModel | None
    """Model that predicts frames from the latents; None where there is none."""

    def encode(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """Encode transitions, given as two sets of frames uint8 (B, C, H, W)."""
        ...

    def vectors(self, latents: Tensor, budget: int) -> Tensor:
        """Return the first `budget` latents as points in space, (B, F)."""
        ...

    def features(self, latents: Tensor, budget: int) -> Tensor:
        """Return the first `budget` latents in the form that is best for a linear reader, (B, F)."""
        ...


class ModelSubject:
    """A latent action model.

    Args:
        lam: The model.
        budgets: Values of K to audit it at; None for M only.
        device: Device of the model.
    """

    def __init__(self, lam: SlotModel, budgets: list[int] | None = None, device: str = "cpu") -> None:
        self.lam, self.title, self.device = lam, lam.title, device
        self.budgets = [lam.latent.slots] if budgets is None else budgets
        self.decoder = lam if isinstance(lam, PixelModel) else None

    def encode(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """Encode all slots: codes int64 (B, M), or vectors (B, M, d)."""
        return encode(self.lam, Transitions(obs.to(self.device), next_obs.to(self.device)))

    def vectors(self, latents: Tensor, budget: int) -> Tensor:
        """Return the slot vectors, one after the other."""
        return self.lam.embed(latents[:, :budget]).flatten(1).cpu()

    def features(self, latents: Tensor, budget: int) -> Tensor:
        """Return the digits of codes one-hot; where latents are continuous, the vectors."""
        return latent_features(self.lam, latents[:, :budget]).float().cpu()


class FrozenSubject:
    """The change of a frozen network's features from one frame to the next.

    Differences add up and reverse by construction; what they say about actions and everything else is the baseline.

    Args:
        name: Name of the network, as in `EXTRACTORS`.

    Raises:
        ValueError: There is no such network, it is one of clips, or its package is missing.
    """

    decoder: Any = None

    def __init__(self, name: str) -> None:
        self.net = make_extractor(name)
        if self.net.clips:
            raise ValueError(f"frozen is {name!r}, a network of clips; expected one of pictures.")
        self.title, self.budgets = f"change of {self.net.name}'s features", [1]

    @torch.no_grad()
    def encode(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """Compute the differences of features, (B, F)."""
        parts = []
        for start in range(0, len(obs), _CHUNK):
            now, then = (to_unit(part[start : start + _CHUNK]) for part in (obs, next_obs))
            parts.append(self.net.vectors(then) - self.net.vectors(now))
        return torch.cat(parts)

    def vectors(self, latents: Tensor, budget: int) -> Tensor:
        """Return the differences themselves."""
        return latents

    def features(self, latents: Tensor, budget: int) -> Tensor:
        """Return the differences in units of their standard deviation, as ridge and logistic regression need them."""
        return (latents - latents.mean(0)) / latents.std(0).clamp_min(1e-6)
