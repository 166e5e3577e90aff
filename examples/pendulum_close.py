"""Gymnasium's Pendulum seen from close by, and an expert that looks at its frames, for `docs/continuous-actions.md`.

    export PYTHONPATH=examples
    flexlam collect --domain gymnasium:pendulum_close:PendulumClose-v0 --expert pendulum_close:Expert --steps 16000 -o D

Dynamics, rewards and torques (one number in [-2, 2]) are those of Pendulum-v1. The picture shows the rod in red and, as
Pendulum's own does with an arrow, the last torque: a green bar from the middle of the lower edge to one side. It is
drawn by NumPy in a tenth of the time.

Legend: `N` environments, `H`, `W` height and width of a frame.
"""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from gymnasium.wrappers import TransformObservation

SIZE = 64  # of the picture in pixels
PIVOT = (28.0, 31.5)  # row and column
LENGTH, HALF = 24.0, 4.0  # of the rod, and half of its width
BAR = 8  # rows of the bar of the torque
STEP = 0.05  # seconds
MOST = 2.0  # the largest torque
CHANCE = 0.3  # standard deviation of what the expert adds to its torque
_ROWS, _COLUMNS = np.mgrid[:SIZE, :SIZE].astype(np.float64)


def draw(angle: float, torque: float) -> np.ndarray:
    """Draw an angle in radians (0 upright, growing counterclockwise) and a torque, (64, 64, 3) uint8."""
    up, left = np.cos(angle), np.sin(angle)
    down, right = _ROWS - PIVOT[0], _COLUMNS - PIVOT[1]
    along = np.clip(-up * down - left * right, 0, LENGTH)
    away = np.hypot(down + along * up, right + along * left)
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    picture[..., 0] = np.clip(HALF + 0.5 - away, 0, 1) * 255
    reach = right[-BAR:] * (-1 if torque > 0 else 1)  # counterclockwise is to the left
    picture[-BAR:, :, 1] = np.clip(abs(torque) / MOST * SIZE / 2 + 0.5 - reach, 0, 1) * (reach > 0) * 255
    return picture


def make(**options: Any) -> gym.Env[Any, Any]:
    """Make the environment, whose observations are the pictures."""
    env = PendulumEnv(**options)

    def picture(_: Any) -> np.ndarray:
        assert env.state is not None
        return draw(float(env.state[0]), float(getattr(env, "last_u", None) or 0.0))

    return TransformObservation(env, picture, gym.spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8))


gym.register("PendulumClose-v0", entry_point=make, max_episode_steps=200)


def angles(frames: np.ndarray) -> np.ndarray:
    """Angle of the rod in radians, (N,), from frames (N, H, W, 3) uint8 of any size."""
    height, width = frames.shape[1:3]
    red = frames[..., 0].astype(np.float64)
    y, x = np.mgrid[:height, :width]
    total = red.sum((1, 2))
    side = (red * ((x + 0.5) / width - (PIVOT[1] + 0.5) / SIZE)).sum((1, 2)) / total
    down = (red * ((y + 0.5) / height - (PIVOT[0] + 0.5) / SIZE)).sum((1, 2)) / total
    return np.arctan2(-side, -down)


def torques(angle: np.ndarray, speed: np.ndarray) -> np.ndarray:
    """Torque (N,) for angles and speeds (N,): balance near the top, elsewhere give or take energy."""
    balance = -(14 * angle + 4 * speed)
    energy = speed**2 / 6 + 5 * (np.cos(angle) - 1)  # 0 at rest on top
    swing = -2 * energy * np.where(speed < 0, -1, 1)
    return np.where(np.abs(angle) < 0.5, balance, swing)


class Expert:
    """Plays one Pendulum or a batch from its frames: the speed comes from the frame before.

    Args:
        env: It.
    """

    def __init__(self, env: Any) -> None:
        self._single = not hasattr(env, "num_envs")
        count = 1 if self._single else env.num_envs
        self._last = np.full(count, np.nan)
        self._chance = [np.random.default_rng(i) for i in range(count)]

    def begin_episodes(self, which: np.ndarray, seeds: np.ndarray) -> None:
        """Forget the rod's place where episodes begin (`which`: indices); their seeds determine what chance adds."""
        for i, seed in zip(which, seeds, strict=True):
            self._last[i], self._chance[i] = np.nan, np.random.default_rng(int(seed))

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """Torques (N, 1) float32, (1,) for a single environment; `state` is passed through."""
        angle = angles(np.asarray(observation)[None] if self._single else np.asarray(observation))
        turned = (angle - self._last + np.pi) % (2 * np.pi) - np.pi
        speed = np.where(np.isnan(self._last), 0.0, turned / STEP)
        self._last = angle
        chance = np.array([generator.standard_normal() for generator in self._chance])
        torque = np.clip(torques(angle, speed) + CHANCE * chance, -MOST, MOST).astype(np.float32)[:, None]
        return (torque[0] if self._single else torque), state
