"""`PictureEnv`: a Gymnasium environment with frames of a chosen size and repeated actions."""

from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from flexlam_rl.envs.resizing import resized
from flexlam_rl.envs.spec import EnvSpec


def is_picture(space: Any) -> bool:
    """Whether the observations of a space are pictures: uint8 of shape (H, W), (H, W, 1) or (H, W, 3)."""
    return (
        isinstance(space, spaces.Box)
        and space.dtype == np.uint8
        and (len(space.shape) == 2 or (len(space.shape) == 3 and space.shape[2] in (1, 3)))
    )


class PictureEnv(gym.Env[np.ndarray, Any]):
    """Shows an environment's observations, or its rendered view if they are not pictures, as (height, width, 3) uint8.

    Args:
        env: The environment; made with `render_mode="rgb_array"` unless its observations are pictures.
        spec: Record with the size of frames and the number of times that each action is played.
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
        """Begin an episode, which the seed determines."""
        observation, info = self.inner.reset(seed=seed, options=options)
        return self._frame(observation), {**info, **self._about(0)}

    def step(self, action: Any) -> tuple[np.ndarray, SupportsFloat, bool, bool, dict[str, Any]]:
        """Play an action `frame_skip` times, or fewer if the episode ends, and add up the rewards."""
        total, done = 0.0, 0
        while True:
            observation, reward, terminated, truncated, info = self.inner.step(action)
            total, done = total + float(reward), done + 1
            if terminated or truncated or done == self.env_spec.frame_skip:
                return self._frame(observation), total, terminated, truncated, {**info, **self._about(done)}

    def render(self) -> Any:
        """The environment's rendered view, in its own size."""
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
