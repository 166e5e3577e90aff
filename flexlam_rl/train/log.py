"""Logs of a run: metrics.jsonl and TensorBoard. Only rank 0 writes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flexlam_rl.utils.files import write_atomically


class RunLog:
    """Log of a run's figures: one JSON object per line, and the same for TensorBoard."""

    def __init__(self, out: Path, rank: int) -> None:
        self.path = out / "metrics.jsonl"
        self.writer: Any = None
        self.rank = rank
        self.out = out

    def rewind(self, step: int) -> None:
        """Drop what a killed run logged after its last saved state."""
        if self.rank == 0 and self.path.exists():
            kept = [line for line in self._lines() if json.loads(line)["step"] <= step]
            write_atomically(self.path, "".join(line + "\n" for line in kept).encode())

    def _lines(self) -> Iterator[str]:
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                json.loads(line)
            except ValueError:
                continue  # a line that was cut off by a kill
            yield line

    def write(self, step: int, part: str, figures: dict[str, float]) -> None:
        """Log the figures of one part, "train" or "eval"."""
        if self.rank:
            return
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(self.out / "tensorboard"), purge_step=step)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "part": part, **figures}) + "\n")
        for name, value in figures.items():
            self.writer.add_scalar(f"{part}/{name}", value, step)

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self.writer is not None:
            self.writer.close()
