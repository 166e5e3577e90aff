"""Pixel experts' training on rewards from video in place of a task's own."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from flexlam_rl.agents.experts.pixel.world import World
from flexlam_rl.agents.rewards.bonuses import Bonus
from flexlam_rl.agents.rewards.density import Density
from flexlam_rl.agents.rewards.viper import Scale, VectorViperReward


class RewardedWorld:
    """A pixel expert's world in which a density rewards; evaluations count the task's own rewards.

    Where a run resumes, the episodes at hand are played again: the density then sees what it saw, and a bonus learns
    nothing twice. What waits in an `AdversarialImitation` for its next step of learning is lost at a stop.

    Args:
        world: The tasks.
        density: Makes the density for so many environments.
        beta: Weight of the bonus.
        bonus: None for none.
        scale: As for `ViperReward`.
    """

    def __init__(
        self,
        world: World,
        density: Callable[[int], Density],
        beta: float = 0.0,
        bonus: Bonus | None = None,
        scale: Scale | None = None,
    ) -> None:
        self._world, self._density = world, density
        self._beta, self._bonus, self._scale = beta, bonus, scale
        self.spec, self.actions = world.spec, world.actions
        self.learners: dict[str, Any] = {"bonus": bonus} if isinstance(bonus, nn.Module) else {}
        self._batch: VectorViperReward | None = None

    def make(self, tasks: Sequence[str]) -> Any:
        """Make the batch; its bonus learns from `begin` on."""
        batch = self._world.make(tasks)
        density = self._density(batch.num_envs)
        self._batch = VectorViperReward(batch, density, self._beta, bonus=self._bonus, scale=self._scale)
        self._batch.rewarder.learns = False
        return self._batch

    def begin(self) -> None:
        """Let the bonus learn."""
        assert self._batch is not None
        self._batch.rewarder.learns = True

    def teacher(self, batch: Any, name: str, memory: int | None) -> Any:
        """What the world says, for the batch inside."""
        return self._world.teacher(batch.env, name, memory)

    def seeds(self, task: str, keys: Iterable[int]) -> np.ndarray:
        """What the world says."""
        return self._world.seeds(task, keys)

    def evaluate(self, task: str, folder: Path, episodes: int) -> tuple[float, float]:
        """Returns of the task itself, as the world gives them."""
        return self._world.evaluate(task, folder, episodes)
