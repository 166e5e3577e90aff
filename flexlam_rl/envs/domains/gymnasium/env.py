"""A Gymnasium environment behind frames of a chosen size, its actions repeated."""

from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from flexlam_rl.envs.resizing import resized
from flexlam_rl.envs.spec import EnvSpec


def is_picture(space: Any) -> bool:
    """Whether observations of a space are pictures: uint8, (H, W), (H, W, 1) or (H, W, 3)."""
    return (
        isinstance(space, spaces.Box)
        and space.dtype == np.uint8
        and (len(space.shape) == 2 or (len(space.shape) == 3 and space.shape[2] in (1, 3)))
    )


class PictureEnv(gym.Env[np.ndarray, Any]):
    """Shows an environment's picture observations, or else what it draws, as (height, width, 3) uint8.

    Args:
        env: It, made with `render_mode="rgb_array"` unless its observations are pictures.
        spec: Size of the frames, and how often each action is repeated.
        level: Name of the task, for infos.

    Attributes:
        env_spec: The record.
    """

    def __init__(self, env: gym.Env[Any, Any], spec: EnvSpec, level: str) -> None:
        self.inner, self.env_spec, self.level = env, spec, level
        self.metadata, self.render_mode = env.metadata, env.render_mode
        self.observation_space = spaces.Box(0, 255, (spec.height, spec.width, 3), np.uint8)
        self.action_space = env.action_space
        self._own = is_picture(env.observation_space)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode, which its seed determines."""
        observation, info = self.inner.reset(seed=seed, options=options)
        return self._frame(observation), {**info, **self._about(0)}

    def step(self, action: Any) -> tuple[np.ndarray, SupportsFloat, bool, bool, dict[str, Any]]:
        """Do an action `frame_skip` times, fewer where the episode ends; rewards are added up."""
        total, done = 0.0, 0
        while True:
            observation, reward, terminated, truncated, info = self.inner.step(action)
            total, done = total + float(reward), done + 1
            if terminated or truncated or done == self.env_spec.frame_skip:
                return self._frame(observation), total, terminated, truncated, {**info, **self._about(done)}

    def render(self) -> Any:
        """What the environment draws, in its own size."""
        return self.inner.render()

    def close(self) -> None:
        """Close the environment."""
        self.inner.close()

    def _about(self, frames: int) -> dict[str, Any]:
        return {"engine": self.env_spec.engine, "level": self.level, "frames": frames}

    def _frame(self, observation: Any) -> np.ndarray:
        picture = np.asarray(observation if self._own else self.inner.render())
        if picture.ndim == 2:
            picture = picture[..., None]
        if picture.shape[2] == 1:
            picture = np.repeat(picture, 3, 2)
        return resized(picture, self.env_spec.width, self.env_spec.height)
