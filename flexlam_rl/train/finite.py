"""Detection of NaN and infinite losses and gradients, without making the host wait for the device at every step."""

from pathlib import Path

import torch
from torch import Tensor

from flexlam_rl.train.errors import TrainingError


class FirstOdd:
    """Remembers, on the device, the first step with a NaN or infinite loss or gradient norm.

    Args:
        device: Device of the losses.
    """

    def __init__(self, device: str) -> None:
        self.step = torch.full((), -1, dtype=torch.int64, device=device)
        self.values = torch.zeros(2, device=device)

    def note(self, step: int, loss: Tensor, norm: Tensor) -> None:
        """Record a step; nothing is read back to the host."""
        values = torch.stack([loss.detach().float(), norm.detach().float()])
        first = ~torch.isfinite(values).all() & (self.step < 0)
        self.step.copy_(torch.where(first, step, self.step))
        self.values.copy_(torch.where(first, values, self.values))

    def check(self, stage: str, state_path: Path) -> None:
        """Read the record; called before anything is logged, evaluated or saved.

        Raises:
            TrainingError: The loss or gradient of a step so far was NaN or infinite.
        """
        step = int(self.step)
        if step < 0:
            return
        loss, norm = self.values.tolist()
        what, value = ("norm of the gradient", norm) if torch.isfinite(self.values[0]) else ("loss", loss)
        raise odd(stage, what, value, step, state_path)


def odd(stage: str, what: str, value: float, step: int, state_path: Path) -> TrainingError:
    """Make the error for a figure that is NaN or infinite."""
    kept = f"the last good state is {state_path}" if state_path.exists() else "nothing had been saved yet"
    return TrainingError(f"{stage}: the {what} is {value} at step {step}; {kept}.")
