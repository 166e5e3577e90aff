"""The worlds that pixel experts are trained in: batches of environments, a teacher, evaluation episodes. No torch."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from flexlam_rl.agents.collection.schedule import Settings, episode_seeds
from flexlam_rl.agents.environments import make_batch
from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.experts.scores import measure
from flexlam_rl.envs.action_spaces import space_of
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.spec import EnvSpec

_RANDOM_EPISODES = 16
SELECTION = 1_000_000  # number of the first episode that selects policies, far beyond those that scores are measured on


class World(Protocol):
    """A world to train in.

    Some worlds have further members:

    - `learners` and `begin()`, if the world learns too, as one with learned rewards does. `learners` are modules by
      name, each with an `optimizer`; a run's state holds them. `begin()` is called when training begins or continues;
      what the world is shown before that call, it has already learned from.
    - `choices`, the number of choices per action, if it is more than one.
    - `accompany(folder)`, if its actions get their meaning from models of the world: it writes these beside a policy.
    """

    spec: EnvSpec
    actions: int

    def make(self, tasks: Sequence[str]) -> Any:
        """Make a batch that resets by mask, one environment per task."""
        ...

    def teacher(self, batch: Any, name: str, memory: int | None) -> Any:
        """Make the teacher for a batch: an object that plays without noise, with `predict` and perhaps `took`."""
        ...

    def seeds(self, task: str, keys: Iterable[int]) -> np.ndarray:
        """Return the seeds of the training episodes with these numbers."""
        ...

    def evaluate(self, task: str, folder: Path, episodes: int) -> tuple[float, float]:
        """Play a saved policy, and return its mean return and a score that can be averaged over tasks."""
        ...


class DomainWorld:
    """Tasks of a domain with discrete actions; DMLab's levels are played on litelab.

    Args:
        seed: Seed of the training episodes.
        domain: Name of the domain.

    Raises:
        ValueError: There is no such domain, or its actions are not discrete and counted from 0.
    """

    def __init__(self, seed: int = 0, domain: str = "dmlab") -> None:
        found = find_domain(domain)
        self.spec = found.resolve(EnvSpec(engine="litelab")) if domain == "dmlab" else found.defaults()
        actions = found.actions(self.spec)
        if not actions.is_single or any(actions.start):
            raise ValueError(
                f"A pixel expert chooses one of several actions, counted from 0; those of {domain} are "
                f"{space_of(actions)}."
            )
        self.actions = actions.discrete[0]
        self._seed = seed
        self._random: dict[str, tuple[float, float]] = {}

    def make(self, tasks: Sequence[str]) -> Any:
        """Make a batch that shows only frames."""
        return make_batch(self.spec, tasks, words=False, copy=False)

    def teacher(self, batch: Any, name: str, memory: int | None) -> Any:
        """Make an expert that reads the batch's worlds."""
        return make_expert(name if memory is None else f"{name}:{memory}", batch, temperature=0.0)

    def seeds(self, task: str, keys: Iterable[int]) -> np.ndarray:
        """Return the seeds of episodes of the training split."""
        return episode_seeds(self._seed, task, "train", keys)

    def evaluate(self, task: str, folder: Path, episodes: int) -> tuple[float, float]:
        """Measure the mean return and the score of a pixel expert, as `score` does."""
        return self.score(f"pixel:{folder}", task, episodes)

    def score(self, player: str, task: str, episodes: int) -> tuple[float, float]:
        """Measure the mean return and the score of an expert.

        Args:
            player: Name of the expert.
            task: Name of the task.
            episodes: Number of episodes to play.

        Returns:
            The mean return and the score. The score is in percent of the domain's reference return, after subtracting
            the random policy's return from both. Without a reference, it is the number of standard deviations by which
            the mean return exceeds the random policy's.
        """
        settings = Settings(expert=player, seed=self._seed, spec=self.spec)
        mean = measure(task, settings, episodes, episodes, first=SELECTION).mean
        reference = find_domain(self.spec.domain).reference(task, self.spec)
        if reference is not None:
            return mean, reference.percent(mean, minus_random=True)
        if task not in self._random:
            returns = measure(task, replace(settings, expert="random"), _RANDOM_EPISODES, first=SELECTION).returns
            self._random[task] = (float(np.mean(returns)), float(np.std(returns)))
        center, deviation = self._random[task]
        return mean, (mean - center) / (deviation or 1.0)
