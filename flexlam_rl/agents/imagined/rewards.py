"""Rewards of imagined frames. A world model predicts no rewards, so they are computed from the frames, or are all 0.

Shapes: n rows, T frames, C H W frame.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flexlam_rl.models.interfaces import FrameDensity, RewardModel
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.utils.numbers import whole


class FrameRewards:
    """Computes the reward of each row's newest frame.

    Args:
        model: A model with `reward(frames)` (a `RewardModel`), or one with `log_prob(frames)`, which is then the reward
            (VIPER); None for rewards that are all 0.
        window: Number of frames that the model looks at, including the newest; None for the model's own `frames`, or 2.
            At the beginning of an episode, its first frame is repeated to fill the window.

    Attributes:
        name: Name of the model's class, or "none" without a model.

    Raises:
        ValueError: The model gives no rewards.
    """

    def __init__(self, model: Any = None, window: int | None = None) -> None:
        self.model, self.name = model, "none" if model is None else type(model).__name__
        self._rate: Callable[[Tensor], Tensor] | None = None
        if isinstance(model, RewardModel):
            self._rate = model.reward
        elif isinstance(model, FrameDensity):
            self._rate = model.log_prob
        elif model is not None:
            raise ValueError(f"reward is {model!r}; expected a model with reward(frames) or log_prob(frames), or None.")
        longest = getattr(model, "frames", None)
        size = whole(longest or 2 if window is None else window, "window", 1, longest)
        self.window = 1 if model is None else size

    @in_own_modes
    def __call__(self, frames: Tensor) -> Tensor:
        """Compute the rewards (n,), float64, of the last of the frames, uint8 (n, window, C, H, W)."""
        if self._rate is None:
            return torch.zeros(len(frames), dtype=torch.float64)
        return self._rate(frames)[:, -1].double().cpu()


def make_rewards(given: Any, window: int | None = None, device: str = "cpu") -> FrameRewards:
    """Make the rewards that a caller asks for.

    Args:
        given: A model, the folder of one, or None for rewards that are all 0.
        window: Number of frames that the model looks at, as for `FrameRewards`.
        device: Device of a model that is loaded.

    Raises:
        CheckpointError: There is no such folder, or no model in it.
        ValueError: The model gives no rewards.
    """
    if isinstance(given, FrameRewards):
        return given
    if isinstance(given, str | Path):
        from flexlam_rl.models.systems import load_model

        given = load_model(given, device).eval().requires_grad_(False)
    return FrameRewards(given, window)
