"""A batch that steps in threads."""

import threading
import time
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from flexlam_rl.envs.episodes import make_batch


class Slow(gym.Env[np.ndarray, np.int64]):
    """Refuses action 1 once another has begun action 0, and takes a while for action 0."""

    observation_space = gym.spaces.Box(0.0, 1.0, (1,))
    action_space = gym.spaces.Discrete(2)

    def __init__(self, begun: threading.Event) -> None:
        self.begun = begun
        self.closed_while_stepping = self.stepping = False

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if action == 1:
            self.begun.wait(10)
            raise ValueError("action 1 is refused")
        self.stepping = True
        self.begun.set()
        time.sleep(0.3)
        self.stepping = False
        return np.zeros(1, np.float32), 0.0, False, False, {}

    def close(self) -> None:
        self.closed_while_stepping |= self.stepping


def test_no_environment_is_closed_while_it_steps() -> None:
    begun = threading.Event()
    worlds = [Slow(begun), Slow(begun)]
    batch = make_batch([lambda world=world: world for world in worlds], threads=True)
    batch.reset()
    with pytest.raises(ValueError, match="refused"):
        batch.step(np.array([1, 0]))
    batch.close()
    assert not worlds[1].closed_while_stepping
