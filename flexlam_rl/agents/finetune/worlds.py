"""Worlds for what `flexlam finetune` trains besides pixel experts: priors, and networks that choose codes.

In latent space, a pixel expert's network chooses the first K codes of a latent action, which a bundle's translator
turns into an action.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.agents.experts.pixel.world import DomainWorld
from flexlam_rl.agents.finetune.players import BUNDLE
from flexlam_rl.agents.latent_space import VectorLatentActionSpace
from flexlam_rl.agents.policy.bundle import MODELS, Bundle
from flexlam_rl.agents.policy.bundle_files import write_bundle
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy


class BundleWorld(DomainWorld):
    """Tasks that a bundle plays; evaluations play bundles.

    Args:
        bundle: Bundle that must fit the tasks.
        budget: Number of codes per decision, K.
        seed: Seed of the training episodes.
        domain: Name of the domain.

    Raises:
        ValueError: There is no such domain, or the bundle cannot play in it or at the budget.
    """

    def __init__(self, bundle: Bundle, budget: int, seed: int = 0, domain: str = "dmlab") -> None:
        super().__init__(seed, domain)
        self.policy = LatentActionPolicy(bundle, budget)
        self.budget = budget

    def make(self, tasks: Sequence[str]) -> Any:
        """Make a batch that resets by mask, one environment per task."""
        batch = super().make(tasks)
        self.policy.check(batch)
        return batch

    def evaluate(self, task: str, folder: Path, episodes: int) -> tuple[float, float]:
        """Play evaluation episodes with a bundle at the budget."""
        return self.score(f"bundle:{folder}@{self.budget}", task, episodes)


class _Coded(VectorLatentActionSpace):
    """A batch in latent space that takes a network's choices: at K = 1, they are without a last dimension."""

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Translate codes (n, K), or (n,) at K = 1, and take the actions."""
        return super().step(np.reshape(actions, (self.num_envs, -1)))


class LatentWorld(BundleWorld):
    """Tasks whose actions are the first K codes of a latent action; evaluations play networks that choose codes."""

    def __init__(self, bundle: Bundle, budget: int, seed: int = 0, domain: str = "dmlab") -> None:
        super().__init__(bundle, budget, seed, domain)
        self.actions, self.choices = bundle.lam.code_count, budget

    def make(self, tasks: Sequence[str]) -> Any:
        """Make a batch that resets by mask, one environment per task."""
        return _Coded(super().make(tasks), self.policy, self.budget)

    def accompany(self, folder: Path) -> None:
        """Write the bundle into the folder of a network, if it is not there yet."""
        if not (folder / BUNDLE).is_dir():
            bundle = self.policy.bundle
            half = bundle.config.training.get("weights") == "float16"
            write_bundle(folder / BUNDLE, bundle.config, {part: getattr(bundle, part) for part in MODELS}, half)

    def evaluate(self, task: str, folder: Path, episodes: int) -> tuple[float, float]:
        """Play evaluation episodes with a network that chooses codes."""
        return self.score(f"latent:{folder}", task, episodes)
