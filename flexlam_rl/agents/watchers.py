"""Watchers of episodes that are played, for progress, videos and timing."""

from collections.abc import Callable
from typing import Any

import numpy as np


class Watcher:
    """A watcher, whose methods are called while episodes are played. This one ignores everything."""

    def wants(self, key: Any) -> bool:
        """Return whether to call `frames` for an episode."""
        return False

    def frames(self, key: Any, frame: np.ndarray, step: int, total: float) -> None:
        """Take a frame that the policy is about to see.

        Args:
            key: Key of the episode.
            frame: The frame, (H, W, C) uint8.
            step: Number of steps so far.
            total: Return so far.
        """

    def stepped(self, playing: int) -> None:
        """Note that `playing` environments have taken a step."""

    def replays(self, on: bool) -> None:
        """Note whether the following steps repeat those from before a stop (True), or are new (False)."""

    def spent(self, part: str, seconds: float) -> None:
        """Note the wall-clock time of a part: "environments", "policy", or a part that the policy names."""


class Counter(Watcher):
    """Passes the number of environments that have taken a step to a function.

    Args:
        on_steps: The function.
    """

    def __init__(self, on_steps: Callable[[int], None]) -> None:
        self._on_steps = on_steps

    def stepped(self, playing: int) -> None:
        """Pass the number on."""
        self._on_steps(playing)


class TimeShares(Watcher):
    """Adds up wall-clock seconds by part.

    Args:
        seconds: Dictionary to add to; None for a new one.
    """

    def __init__(self, seconds: dict[str, float] | None = None) -> None:
        self.seconds: dict[str, float] = {} if seconds is None else seconds

    def spent(self, part: str, seconds: float) -> None:
        """Add the seconds of a part."""
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds
