"""How long the parts of a decision took, measured where they run."""

import time
from itertools import pairwise
from typing import Any

import torch


class Marks:
    """Moments between parts: the device's own events on a GPU, which the host need not wait for, and the clock
    elsewhere.

    Args:
        device: Where the parts run.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._marks: list[Any] = []
        self.mark()

    def mark(self) -> None:
        """A part has ended, and the next one begins."""
        if self._cuda:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._marks.append(event)
        else:
            self._marks.append(time.perf_counter())

    def seconds(self) -> list[float]:
        """Seconds of each part; waits for the last one to end."""
        if not self._cuda:
            return [after - before for before, after in pairwise(self._marks)]
        self._marks[-1].synchronize()
        return [before.elapsed_time(after) / 1000 for before, after in pairwise(self._marks)]
