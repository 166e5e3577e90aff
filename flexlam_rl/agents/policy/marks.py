"""Durations of the parts of a decision, measured on the device that computes them."""

import time
from itertools import pairwise
from typing import Any

import torch


class Marks:
    """Time marks between parts: events on a GPU, for which the host need not wait, and the clock on other devices.

    Args:
        device: Device that computes the parts.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._marks: list[Any] = []
        self.mark()

    def mark(self) -> None:
        """Mark the end of a part and the beginning of the next one."""
        if self._cuda:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._marks.append(event)
        else:
            self._marks.append(time.perf_counter())

    def seconds(self) -> list[float]:
        """Wait for the last part to end, and return the seconds of each part."""
        if not self._cuda:
            return [after - before for before, after in pairwise(self._marks)]
        self._marks[-1].synchronize()
        return [before.elapsed_time(after) / 1000 for before, after in pairwise(self._marks)]
