"""A toy task for priors: in the dark one action is right, in the light another.

Every third environment counts its time as up (a view follows), and in every second one the map restarts once.
"""

from typing import Any

import gymnasium as gym
import numpy as np
import torch

from flexlam_rl.agents.policy.bundle import Bundle
from flexlam_rl.envs.spec import EnvSpec

LENGTH, RESTART = 7, 3


def wanted_actions(bundle: Bundle) -> tuple[int, int]:
    """The two actions that the most first codes mean; whoever draws codes evenly seldom does either."""
    count = bundle.lam.code_count
    slots = bundle.lam.keep_prefix(torch.arange(count)[:, None], 1)
    none = torch.full((count, 1), -1)
    found = bundle.translator(slots, none, torch.zeros(count, 3, 64, 64, dtype=torch.uint8)).argmax(-1)
    most = found.bincount(minlength=15).argsort(descending=True)
    return int(most[0]), int(most[1])


class DarkBatch(gym.vector.VectorEnv):
    """N episodes side by side, with the interface of a native batch."""

    def __init__(self, rows: int, wanted: tuple[int, int]) -> None:
        self.num_envs, self.wanted = rows, np.array(wanted)
        self.single_action_space = gym.spaces.Discrete(15)
        self.draws = [np.random.default_rng(0) for _ in range(rows)]
        self.light, self.at = np.zeros(rows, np.int64), np.zeros(rows, np.int64)

    def _frames(self) -> np.ndarray:
        frames = np.where(self.light, 220, 20)[:, None, None, None] + 5 * self.at[:, None, None, None]
        return np.broadcast_to(frames, (self.num_envs, 64, 64, 3)).astype(np.uint8)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        for i in np.flatnonzero(options["reset_mask"]).tolist():
            self.draws[i] = np.random.default_rng(options["episode_seeds"][i])
            self.light[i], self.at[i] = self.draws[i].integers(2), 0
        return self._frames(), {}

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        rewards = 1.0 * (np.asarray(actions) == self.wanted[self.light])
        self.at += 1
        self.light = np.array([draw.integers(2) for draw in self.draws])
        over, late = self.at == LENGTH, np.arange(self.num_envs) % 3 == 2
        restarts = (self.at == RESTART) & (np.arange(self.num_envs) % 2 == 1)
        return self._frames(), rewards, over & ~late, over & late, {"map_reset": restarts}


class DarkWorld:
    """The toy as `agents.experts.pixel.world.World`."""

    spec, actions = EnvSpec(domain="dark", engine="toy"), 15

    def __init__(self, bundle: Bundle) -> None:
        self.wanted = wanted_actions(bundle)

    def make(self, tasks: Any) -> DarkBatch:
        return DarkBatch(len(tasks), self.wanted)

    def seeds(self, task: str, keys: Any) -> np.ndarray:
        return np.array([17 * key + len(task) for key in keys])

    def evaluate(self, task: str, folder: Any, episodes: int) -> tuple[float, float]:
        return 0.0, 0.0
