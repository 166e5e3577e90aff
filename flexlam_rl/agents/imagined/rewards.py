"""Rewards of imagined frames. A world model predicts none, so they are made from the frames, or are all 0.

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
    """Rewards of the newest of a row's frames.

    Args:
        model: What has `reward(frames)` (a `RewardModel`), or `log_prob(frames)`, whose likelihood is then the reward
            (VIPER); None for rewards that are all 0.
        window: Frames that it looks at, the newest included; None for the model's own `frames`, or 2. An episode
            begins with its first frame as often as frames are missing.

    Attributes:
        name: The model's class, "none" without one.

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
        """Give the rewards (n,), float64, of the last of frames uint8 (n, window, C, H, W)."""
        if self._rate is None:
            return torch.zeros(len(frames), dtype=torch.float64)
        return self._rate(frames)[:, -1].double().cpu()


def make_rewards(given: Any, window: int | None = None, device: str = "cpu") -> FrameRewards:
    """Make rewards of what a caller names: a model, the folder of one, or None.

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
