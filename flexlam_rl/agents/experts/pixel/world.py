"""What a pixel expert is trained in: batches of environments, a teacher, and evaluation episodes. No torch."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from flexlam_rl.agents.collection.schedule import Settings, episode_seeds
from flexlam_rl.agents.environments import make_batch
from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.experts.scores import measure
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.domains.dmlab.returns import find_reference
from flexlam_rl.envs.spec import EnvSpec

SELECTION = 1_000_000  # number of the first selection episode, far behind those that scores are measured on


class World(Protocol):
    """Where training takes place."""

    spec: EnvSpec
    actions: int

    def make(self, tasks: Sequence[str]) -> Any:
        """Make a batch that resets by mask, one environment per task."""
        ...

    def teacher(self, batch: Any, name: str, memory: int | None) -> Any:
        """Make the teacher for a batch: an object with `predict` and perhaps `took`, without noise."""
        ...

    def seeds(self, task: str, keys: Iterable[int]) -> np.ndarray:
        """Seeds of the training episodes of these numbers."""
        ...

    def evaluate(self, task: str, folder: Path, episodes: int) -> tuple[float, float]:
        """Play a saved policy; gives its mean return and a score that can be averaged over tasks."""
        ...


class LitelabWorld:
    """DMLab's levels on litelab.

    Args:
        seed: Of the training episodes.
    """

    def __init__(self, seed: int = 0) -> None:
        domain = find_domain("dmlab")
        self.spec = domain.resolve(EnvSpec(engine="litelab"))
        self.actions = domain.actions(self.spec).discrete[0]
        self._seed = seed

    def make(self, tasks: Sequence[str]) -> Any:
        """Make the native batch: frames alone are seen."""
        return make_batch(self.spec, tasks, words=False, copy=False)

    def teacher(self, batch: Any, name: str, memory: int | None) -> Any:
        """Make the scripted or reactive expert, which reads the batch's worlds."""
        return make_expert(name if memory is None else f"{name}:{memory}", batch, temperature=0.0)

    def seeds(self, task: str, keys: Iterable[int]) -> np.ndarray:
        """Seeds of the training split."""
        return episode_seeds(self._seed, task, "train", keys)

    def evaluate(self, task: str, folder: Path, episodes: int) -> tuple[float, float]:
        """Mean return, and per cent of the scripted expert's with the random policy's subtracted."""
        settings = Settings(expert=f"pixel:{folder}", seed=self._seed, spec=self.spec)
        mean = measure(task, settings, episodes, episodes, first=SELECTION).mean
        return mean, find_reference(task, "litelab").percent(mean, minus_random=True)
