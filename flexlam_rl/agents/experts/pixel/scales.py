"""Normalization of values and advantages per task, because rewards differ a hundredfold between levels.

Shapes: L tasks, T time, N environments.
"""

import torch
from torch import Tensor, nn

_RATE = 0.01  # rate of the running means, per rollout
_FLOOR = 1e-2  # smallest standard deviation, so that the noise of a task without rewards is not magnified


class Scales(nn.Module):
    """Running mean and standard deviation of returns per task, with PopArt: when they change, the value head is
    rescaled so that its predictions stay the same.
    """

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.square: Tensor
        self.weight: Tensor
        for name in ("mean", "square", "weight"):
            self.register_buffer(name, torch.zeros(tasks, dtype=torch.float64))

    def centre(self) -> Tensor:
        """Return the mean return per task, (L,); 0 before the first rollout."""
        return self.mean / self.weight.clamp_min(1e-12)

    def deviation(self) -> Tensor:
        """Return the standard deviation of returns per task, (L,); 1 before the first rollout."""
        known = self.weight > 0
        variance = self.square / self.weight.clamp_min(1e-12) - self.centre().square()
        return torch.where(known, variance.clamp_min(_FLOOR**2).sqrt(), 1.0)

    @torch.no_grad()
    def update(self, returns: Tensor, tasks: Tensor, counts: Tensor, head: nn.Linear) -> None:
        """Take in the returns of a rollout and rescale the value head.

        Args:
            returns: Raw returns, (T, N).
            tasks: Number of each environment's task, (N,).
            counts: Whether a return is the student's own, (T, N) bool.
            head: Layer that predicts normalized values, one output per task.
        """
        old_centre, old_deviation = self.centre(), self.deviation()
        for task in range(len(self.mean)):
            own = returns[:, tasks == task][counts[:, tasks == task]].double()
            if own.numel():
                self.mean[task].lerp_(own.mean(), _RATE)
                self.square[task].lerp_(own.square().mean(), _RATE)
                self.weight[task].lerp_(torch.ones((), dtype=torch.float64, device=own.device), _RATE)
        centre, deviation = self.centre(), self.deviation()
        factor = (old_deviation / deviation).to(head.weight)
        head.weight.mul_(factor[:, None])
        head.bias.mul_(factor).add_(((old_centre - centre) / deviation).to(head.bias))

    def raw(self, values: Tensor, tasks: Tensor) -> Tensor:
        """Convert normalized values (..., N) of environments with these tasks to returns."""
        return values * self.deviation()[tasks].to(values) + self.centre()[tasks].to(values)

    def normal(self, returns: Tensor, tasks: Tensor) -> Tensor:
        """Convert returns (..., N) to normalized values."""
        return (returns - self.centre()[tasks].to(returns)) / self.deviation()[tasks].to(returns)

    def advantages(self, raw: Tensor, tasks: Tensor, counts: Tensor) -> Tensor:
        """Normalize advantages (T, N) to mean 0 and deviation 1 per task over the student's own steps; others are 0."""
        out = torch.zeros_like(raw)
        for task in range(len(self.mean)):
            rows = tasks == task
            own = raw[:, rows][counts[:, rows]]
            if own.numel() > 1:
                spread = own.std().clamp_min(_FLOOR * float(self.deviation()[task]))
                out[:, rows] = torch.where(counts[:, rows], (raw[:, rows] - own.mean()) / spread, 0.0)
        return out


def estimate_advantages(
    rewards: Tensor, values: Tensor, ends: Tensor, after: Tensor, discount: float, trace: float
) -> Tensor:
    """Compute generalized advantage estimates.

    Args:
        rewards: Rewards, (T, N).
        values: Raw values, (T + 1, N).
        ends: Whether an episode ended at a step, (T, N) bool.
        after: Raw values after an episode's end, (T, N): 0 where it terminated, the last view's where time was up.
        discount: Gamma.
        trace: Lambda.

    Returns:
        The estimates, (T, N).
    """
    out = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        following = torch.where(ends[t], after[t], values[t + 1])
        running = rewards[t] + discount * following - values[t] + discount * trace * torch.where(ends[t], 0.0, running)
        out[t] = running
    return out
