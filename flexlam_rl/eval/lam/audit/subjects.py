"""What is audited: a latent action model at its budgets, or the change of a frozen network's features.

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
    """Turns transitions into vectors."""

    title: str
    budgets: list[int]
    decoder: PixelModel | None
    """Predicts frames from its latents, None where nothing does."""

    def encode(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """Give the latents of transitions, frames uint8 (B, C, H, W) twice."""
        ...

    def vectors(self, latents: Tensor, budget: int) -> Tensor:
        """Give what the first `budget` latents say as points in space, (B, F)."""
        ...

    def features(self, latents: Tensor, budget: int) -> Tensor:
        """Give the same as a linear reader takes it best, (B, F)."""
        ...


class ModelSubject:
    """A latent action model.

    Args:
        lam: The model.
        budgets: K to audit it at; None for all M alone.
        device: Where it is.
    """

    def __init__(self, lam: SlotModel, budgets: list[int] | None = None, device: str = "cpu") -> None:
        self.lam, self.title, self.device = lam, lam.title, device
        self.budgets = [lam.latent.slots] if budgets is None else budgets
        self.decoder = lam if isinstance(lam, PixelModel) else None

    def encode(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """Latents of all slots: codes int64 (B, M), or vectors (B, M, d)."""
        return encode(self.lam, Transitions(obs.to(self.device), next_obs.to(self.device)))

    def vectors(self, latents: Tensor, budget: int) -> Tensor:
        """The slot vectors, one after the other."""
        return self.lam.embed(latents[:, :budget]).flatten(1).cpu()

    def features(self, latents: Tensor, budget: int) -> Tensor:
        """The digits of codes one-hot, vectors elsewhere."""
        return latent_features(self.lam, latents[:, :budget]).float().cpu()


class FrozenSubject:
    """How the features of a frozen network of pictures change from one frame to the next.

    A difference adds up and turns round by construction; what it tells of actions and of all else is the baseline.

    Args:
        name: Of the network, as in `EXTRACTORS`.

    Raises:
        ValueError: There is none, it is one of clips, or its package is missing.
    """

    decoder: Any = None

    def __init__(self, name: str) -> None:
        self.net = make_extractor(name)
        if self.net.clips:
            raise ValueError(f"frozen is {name!r}, a network of clips; expected one of pictures.")
        self.title, self.budgets = f"change of {self.net.name}'s features", [1]

    @torch.no_grad()
    def encode(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """Differences of features, (B, F)."""
        parts = []
        for start in range(0, len(obs), _CHUNK):
            now, then = (to_unit(part[start : start + _CHUNK]) for part in (obs, next_obs))
            parts.append(self.net.vectors(then) - self.net.vectors(now))
        return torch.cat(parts)

    def vectors(self, latents: Tensor, budget: int) -> Tensor:
        """The differences themselves."""
        return latents

    def features(self, latents: Tensor, budget: int) -> Tensor:
        """The differences in units of their spread, which ridge and logistic regression need."""
        return (latents - latents.mean(0)) / latents.std(0).clamp_min(1e-6)
