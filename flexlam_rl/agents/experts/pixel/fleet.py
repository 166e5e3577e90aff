"""The environments of a training by reward. Their state is the seed and the actions of each episode: a resumed run
plays these actions again.

Shapes: N environments.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.agents.experts.pixel.world import World
from flexlam_rl.envs.observations import frames_of

Episode = list[Any]
"""Actions since an environment's episode began: numbers, or lists of numbers."""


class Episodes(Protocol):
    """Buffers of a run's state that describe the episodes in progress."""

    totals: Tensor
    """float64 (N,): sum of the rewards so far."""
    seeds: Tensor
    """int64 (N,): seeds of the episodes."""
    counters: Tensor
    """int64: number of episodes begun, per task."""


class Fleet:
    """N environments to which the tasks are assigned in turn, and which begin their next episodes when told to.

    Args:
        world: The world that makes the environments.
        tasks: Names of the tasks.
        envs: Number of environments, N.
        rows: State of the episodes.
        history: Actions of each environment since its episode began; None where no episode has begun.

    Attributes:
        tasks: Number of each environment's task, (N,).
        frames: Newest frames, uint8 (N, H, W, C).
    """

    def __init__(
        self, world: World, tasks: Sequence[str], envs: int, rows: Episodes, history: list[Episode] | None = None
    ) -> None:
        self.world, self.names, self.rows = world, tuple(tasks), rows
        self.tasks = np.arange(envs) % len(tasks)
        self.batch = world.make([tasks[i] for i in self.tasks.tolist()])
        self.history: list[Episode] = [[] for _ in range(envs)] if history is None else history
        self.frames: np.ndarray

    def _reset(self, mask: np.ndarray) -> None:
        options = {"reset_mask": mask.copy(), "episode_seeds": self.rows.seeds.tolist()}
        self.frames = frames_of(self.batch.reset(options=options)[0])

    def begin(self, mask: np.ndarray) -> None:
        """Begin the next episodes of some environments."""
        for i in np.flatnonzero(mask).tolist():
            task = int(self.tasks[i])
            key = int(self.rows.counters[task])
            self.rows.counters[task] += 1
            self.rows.seeds[i] = int(self.world.seeds(self.names[task], [key])[0])
            self.history[i] = []
        self._reset(mask)
        self.rows.totals[torch.from_numpy(mask)] = 0.0

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, Any]:
        """Take one step in every environment.

        Returns:
            Rewards (N,) float32, whether episodes terminated, whether their time was up, and the infos.
        """
        observation, rewards, terminated, truncated, infos = self.batch.step(actions)
        self.frames = frames_of(observation)
        for told, action in zip(self.history, actions.tolist(), strict=True):
            told.append(action)
        self.rows.totals += torch.from_numpy(np.asarray(rewards, np.float64))
        return np.asarray(rewards, np.float32), terminated, truncated, infos

    def replay(self, before: Callable[[np.ndarray], Any] = lambda actions: None) -> None:
        """Bring fresh environments to where the history ends.

        Args:
            before: Called with the actions before each step.
        """
        lengths = np.array([len(actions) for actions in self.history])
        longest, done = int(lengths.max()), np.ones(len(lengths), np.bool_)
        space = self.batch.single_action_space
        for step in range(longest + 1):
            due = (longest - lengths == step) | done
            if due.any():
                self._reset(due)
            if step < longest:
                first = step - (longest - lengths)  # index in the history; negative ones wait and play anything
                actions = np.zeros((len(lengths), *space.shape), space.dtype)
                for i in np.flatnonzero(first >= 0).tolist():
                    actions[i] = self.history[i][first[i]]
                before(actions)
                observation, _, terminated, truncated, _ = self.batch.step(actions)
                self.frames, done = frames_of(observation), terminated | truncated

    def close(self) -> None:
        """Close the batch."""
        self.batch.close()
