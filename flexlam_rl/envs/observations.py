"""Names of observations, and functions that find the frame and the instruction in an observation.

Every environment of a domain shows frames, (height, width, channels) uint8, either bare or as `FRAME` in a `Dict`. In a
`Dict`, `WORDS` holds the instruction. Observations of a batch have one more dimension in front.
"""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

FRAME, WORDS = "RGB_INTERLEAVED", "INSTR"
MAP = "DEBUG.CAMERA_INTERLEAVED.TOP_DOWN"
"""DMLab's view from above, of the same size as a frame."""


def frames_of(observation: Any) -> Any:
    """Find the frame in an observation, or the frames in those of a batch."""
    return observation[FRAME] if isinstance(observation, dict) else observation


def words_of(observation: Any) -> Any:
    """Find the instruction in an observation (in a batch, one per environment); None if there is none."""
    return observation.get(WORDS) if isinstance(observation, dict) else None


def frame_space(env: Any) -> spaces.Box | None:
    """Find the space of a single environment's frames, as the outermost wrapper of an environment or batch shows them.

    Returns:
        A uint8 `Box` with three dimensions, or None if there are no frames.
    """
    batch = isinstance(env, gym.vector.VectorEnv)
    space = env.single_observation_space if batch else getattr(env, "observation_space", None)
    if isinstance(space, spaces.Dict):
        space = space.spaces.get(FRAME)
    if isinstance(space, spaces.Box) and len(space.shape) == 3 and space.dtype == np.uint8:
        return space
    return None


def frame_size(env: Any) -> tuple[int, int] | None:
    """Find height and width of an environment's frames, whether channels come last or first; None without frames."""
    space = frame_space(env)
    if space is None:
        return None
    height, width = space.shape[1:] if space.shape[0] in (1, 3, 4) else space.shape[:2]
    return int(height), int(width)
