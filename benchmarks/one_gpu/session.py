"""What all parts share: sizes, folders, the clock, results that are written as they come, and the collected frames."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.one_gpu.sizes import Size
from flexlam_rl.utils.files import write_atomically


class TimeBoxOver(Exception):
    """Raised when a part has used all of its time."""


@contextmanager
def time_box(seconds: float) -> Iterator[None]:
    """Raise `TimeBoxOver` in the main thread if a block takes longer than `seconds`."""

    def over(*_: Any) -> None:
        raise TimeBoxOver

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, max(0.1, seconds))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass
class Session:
    """A call of the command.

    Attributes:
        size: Amounts of all parts.
        device: Device of the models.
        out: Folder of the results.
        work: Folder that stays on the machine: results of parts, training runs, the suite's episodes.
        until: End of the present part's time, on the clock of `time.monotonic`.
        memory: Frames that the part `collect` collected in this call.
        drawn: Points of each picture of the results, as this call drew them last.
    """

    size: Size
    device: str
    out: Path
    work: Path
    until: float = 0.0
    memory: dict[str, Any] = field(default_factory=dict)
    drawn: dict[str, Any] = field(default_factory=dict)

    def left(self) -> float:
        """Seconds left to the present part."""
        return self.until - time.monotonic()

    def load(self, part: str) -> dict[str, Any]:
        """Read a part's results so far."""
        path = self.work / "parts" / f"{part}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def save(self, part: str, figures: dict[str, Any]) -> None:
        """Store a part's results so far."""
        path = self.work / "parts" / f"{part}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps(figures, indent=1) + "\n").encode())
