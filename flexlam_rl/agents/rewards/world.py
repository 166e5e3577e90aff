"""Training of pixel experts on rewards from video instead of a task's own."""

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
    """A pixel expert's world whose rewards come from a density; evaluations use the task's own rewards.

    When a run resumes, the episodes in progress are played again. The density then sees the same frames again, and the
    bonus does not learn from them twice. Pairs that an `AdversarialImitation` has collected for its next training step
    are lost when a run stops.

    Args:
        world: The world of the tasks.
        density: Function that makes the density for a number of environments.
        beta: Weight of the bonus.
        bonus: The bonus; None for none.
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
        """Make the batch, whose bonus does not learn before `begin` is called."""
        batch = self._world.make(tasks)
        density = self._density(batch.num_envs)
        self._batch = VectorViperReward(batch, density, self._beta, bonus=self._bonus, scale=self._scale)
        self._batch.rewarder.learns = False
        return self._batch

    def begin(self) -> None:
        """Let the bonus learn from now on."""
        assert self._batch is not None
        self._batch.rewarder.learns = True

    def teacher(self, batch: Any, name: str, memory: int | None) -> Any:
        """Make the world's teacher for the wrapped batch."""
        return self._world.teacher(batch.env, name, memory)

    def seeds(self, task: str, keys: Iterable[int]) -> np.ndarray:
        """Return the world's seeds."""
        return self._world.seeds(task, keys)

    def evaluate(self, task: str, folder: Path, episodes: int) -> tuple[float, float]:
        """Evaluate by the task's own rewards, as the world does."""
        return self._world.evaluate(task, folder, episodes)
