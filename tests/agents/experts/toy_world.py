"""A toy task for pixel experts, with the interface of a native batch.

Six times a colour names the button to press, and a wrong one ends the episode: too long to be found by chance. Then a
white view asks for the hidden one of two doors (reward 1), which the teacher knows and no picture shows, or for a safe
button (reward 0.8): imitating the teacher earns 0.5.
"""

from typing import Any

import gymnasium as gym
import numpy as np

from flexlam_rl.agents.experts.pixel.player import PixelExpert
from flexlam_rl.agents.rollout import Start, Tally, in_order, play_episodes
from flexlam_rl.envs.spec import EnvSpec

COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [255, 255, 255]], np.uint8)
LENGTH, SAFE, SIZE = 6, 2, 36
SPEC = EnvSpec(domain="toy", engine="toy", action_set="toy", width=SIZE, height=SIZE, look=())


class ToyBatch(gym.vector.VectorEnv):
    """N episodes side by side; `scale` multiplies the rewards of every second environment."""

    def __init__(self, tasks: list[str]) -> None:
        self.num_envs = len(tasks)
        self.scale = np.array([100.0 if task == "dear" else 1.0 for task in tasks])
        self.single_action_space = gym.spaces.Discrete(5)
        self.single_observation_space = gym.spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8)
        self.colours = np.zeros((self.num_envs, LENGTH), np.int64)
        self.door, self.at = np.zeros(self.num_envs, np.int64), np.zeros(self.num_envs, np.int64)

    def wanted(self) -> np.ndarray:
        """What the teacher does."""
        shown = self.colours[np.arange(self.num_envs), self.at.clip(max=LENGTH - 1)]
        return np.where(self.at < LENGTH, shown, self.door)

    def _frames(self) -> np.ndarray:
        shown = self.colours[np.arange(self.num_envs), self.at.clip(max=LENGTH - 1)]
        colour = COLOURS[np.where(self.at < LENGTH, shown, 4)]
        return np.repeat(np.repeat(colour[:, None, None], SIZE, 1), SIZE, 2)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        for i in np.flatnonzero(options["reset_mask"]).tolist():
            draw = np.random.default_rng(options["episode_seeds"][i])
            self.colours[i], self.door[i], self.at[i] = draw.integers(4, size=LENGTH), draw.integers(2), 0
        return self._frames(), {}

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        actions, last = np.asarray(actions), self.at == LENGTH
        ended = last | (actions != self.wanted())
        rewards = np.where(last, np.where(actions == SAFE, 0.8, 1.0 * (actions == self.door)), 0.0) * self.scale
        self.at = np.where(ended, self.at, self.at + 1)
        return self._frames(), rewards, ended, np.zeros(self.num_envs, np.bool_), {}


class ToyTeacher:
    """Presses the right button."""

    def __init__(self, batch: ToyBatch) -> None:
        self.batch = batch

    def predict(self, observation: Any) -> tuple[np.ndarray, None]:
        return self.batch.wanted(), None


class ToyWorld:
    """The toy as `agents.experts.pixel.world.World`."""

    spec, actions = SPEC, 5

    def make(self, tasks: Any) -> ToyBatch:
        return ToyBatch(list(tasks))

    def teacher(self, batch: ToyBatch, name: str, memory: int | None) -> ToyTeacher:
        return ToyTeacher(batch)

    def seeds(self, task: str, keys: Any) -> np.ndarray:
        return np.array([2 * key for key in keys])

    def evaluate(self, task: str, folder: Any, episodes: int) -> tuple[float, float]:
        batch = ToyBatch([task] * 32)
        starts = in_order([Start(i, 2 * i + 1) for i in range(episodes)])
        mean = float(
            np.mean([tally.total for _, tally in play_episodes(batch, PixelExpert(folder, batch), starts, Tally)])
        )
        return mean, mean / batch.scale[0]
