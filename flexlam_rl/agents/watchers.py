"""What listens while episodes are played: progress, videos, time."""

from collections.abc import Callable
from typing import Any

import numpy as np


class Watcher:
    """Told what happens while episodes are played; this one listens to nothing."""

    def wants(self, key: Any) -> bool:
        """Whether to be shown the frames of an episode."""
        return False

    def frames(self, key: Any, frame: np.ndarray, step: int, total: float) -> None:
        """Take a frame that the policy is about to see, (H, W, C) uint8, the step and the return so far."""

    def stepped(self, playing: int) -> None:
        """Take note that so many environments have made a step."""

    def replays(self, on: bool) -> None:
        """Take note that the steps to come were played before a stop (true), or are new again."""

    def spent(self, part: str, seconds: float) -> None:
        """Take note of wall-clock time: of "environments", of "policy", and of the parts that the policy names."""


class Counter(Watcher):
    """Hands the number of environments that have made a step on to a function."""

    def __init__(self, on_steps: Callable[[int], None]) -> None:
        self._on_steps = on_steps

    def stepped(self, playing: int) -> None:
        """Hand it on."""
        self._on_steps(playing)


class TimeShares(Watcher):
    """Adds up wall-clock seconds by part.

    Args:
        seconds: Where to add them; None for a new dictionary.
    """

    def __init__(self, seconds: dict[str, float] | None = None) -> None:
        self.seconds: dict[str, float] = {} if seconds is None else seconds

    def spent(self, part: str, seconds: float) -> None:
        """Add the seconds of a part."""
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds
