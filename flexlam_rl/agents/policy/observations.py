"""Reading frames from the observations of environments, batches and adapters.

Legend: `n` environments, `C H W` frame.
"""

from typing import Any

import numpy as np

FRAME = "RGB_INTERLEAVED"


def read_frames(observation: Any, frame: tuple[int, int, int]) -> tuple[np.ndarray, bool]:
    """Read the frames of an observation.

    Args:
        observation: Frames uint8 (n, H, W, C) or (n, C, H, W), with or without n, as an array or tensor, or a
            dictionary that holds them.
        frame: Shape of a frame that the policy was trained with, (C, H, W).

    Returns:
        Frames (n, C, H, W) uint8, and whether the observation was a single frame, without n.

    Raises:
        ValueError: The observation is something else.
    """
    if isinstance(observation, tuple):
        raise ValueError(
            "The observation is a tuple; expected frames: gymnasium's reset returns (observation, info), so pass only "
            "the observation."
        )
    if isinstance(observation, dict):
        if FRAME not in observation:
            raise ValueError(
                f"The observation holds {', '.join(map(repr, observation)) or 'nothing'}; expected {FRAME!r} in it."
            )
        observation = observation[FRAME]
    if hasattr(observation, "detach"):  # a tensor, perhaps on a GPU
        observation = observation.detach().cpu()
    try:
        frames = np.asarray(observation)
    except (ValueError, TypeError):  # rows of different lengths
        frames = np.empty(0, object)
    single = frames.ndim == 3
    frames = frames[None] if single else frames
    c, h, w = frame
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] not in ((h, w, c), (c, h, w)):
        raise ValueError(
            f"The observation has shape {frames.shape[1:] if single else frames.shape} and type {frames.dtype}; the "
            "policy was trained with "
            f"frames ({h}, {w}, {c}) uint8, or ({c}, {h}, {w}), alone or in a batch."
        )
    if len(frames) == 0:
        raise ValueError("The observation is a batch of no frames; expected one for each environment.")
    return (np.moveaxis(frames, -1, 1) if frames.shape[1:] == (h, w, c) else frames), single
