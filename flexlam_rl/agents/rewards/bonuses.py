"""Bonuses for novelty, which keep an agent with a likelihood reward from staying at one likely view (VIPER, section
6.3).

A bonus learns from the frames that it is given. It is a module with an `optimizer`, and both must be part of a run's
saved state (`train.state.save_state`).

Shapes: n frames, C H W frame, F features, E members.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.modes import own_modes
from flexlam_rl.nn.vision import FEATURES, frozen_features
from flexlam_rl.utils.numbers import whole


class Bonus(Protocol):
    """A reward that is larger for frames that were seen less."""

    def bonus(self, before: Tensor, frames: Tensor) -> Tensor:
        """Compute the bonus (n,) of the steps from `before` to `frames`, uint8 (n, C, H, W), without learning."""
        ...

    def learn(self, before: Tensor, frames: Tensor) -> None:
        """Take a training step on the steps from `before` to `frames`."""
        ...


_MEMORY = 50
"""Number of training steps over which the standard deviation of the errors is followed."""


class _Learned(nn.Module):
    """What both bonuses share: an error that is divided by its running standard deviation, and an optimizer.

    The deviation is that of recent errors. Over all errors since the beginning, when nothing was known, the bonus would
    fade within the first tens of thousands of steps.
    """

    count: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("count", "mean", "variance"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64))
        self.optimizer: torch.optim.Adam

    def errors(self, before: Tensor, frames: Tensor) -> Tensor:
        """Compute the novelty of each step, (n,)."""
        raise NotImplementedError

    def loss(self, before: Tensor, frames: Tensor) -> Tensor:
        """Compute the training loss."""
        raise NotImplementedError

    def bonus(self, before: Tensor, frames: Tensor) -> Tensor:
        """Compute the errors (n,), divided by the standard deviation of recent errors; see `Bonus`."""
        with own_modes():
            found = self.errors(to_unit(before), to_unit(frames))
            spread = self.variance.sqrt()
            return found / spread.float() if float(spread) > 0 else found / found.mean().clamp_min(1e-12)

    def learn(self, before: Tensor, frames: Tensor) -> None:
        """Take a training step; see `Bonus`."""
        if not len(frames):
            return
        with own_modes(grad=True):
            before, frames = to_unit(before), to_unit(frames)
            with torch.no_grad():
                self._follow(self.errors(before, frames).double())
            loss = self.loss(before, frames)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()

    def _follow(self, errors: Tensor) -> None:
        """Update the running deviation with a batch."""
        self.count += 1
        rate = 1.0 / min(float(self.count), _MEMORY)
        gap = errors.mean() - self.mean
        self.variance.copy_((1 - rate) * (self.variance + rate * gap.square()) + rate * errors.var(correction=0))
        self.mean += rate * gap


class RandomNetworkDistillation(_Learned):
    """Error of a network that learns to predict a random network's output for a frame (Burda et al., 2019).

    Args:
        channels, size: Number of channels and side length of the frames, which are square.
        seed: Seed of all weights.
        lr: Learning rate of Adam.
    """

    def __init__(self, channels: int = 3, size: int = 64, seed: int = 0, lr: float = 3e-4) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(whole(seed, "seed"))
            self.target, self.predictor = _network(channels, size), _network(channels, size)
        self.target.requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.predictor.parameters(), lr)

    def errors(self, before: Tensor, frames: Tensor) -> Tensor:
        """Compute the squared errors (n,) on the new frames."""
        return (self.predictor(frames) - self.target(frames)).square().mean(1)

    def loss(self, before: Tensor, frames: Tensor) -> Tensor:
        """Their mean."""
        return self.errors(before, frames).mean()


class Disagreement(_Learned):
    """Variance among networks that predict the next frame's features from the current one's (Plan2Explore, one step).

    Args:
        channels: Number of channels of the frames.
        members: Number of networks, E.
        width: Width of each network's hidden layer.
        seed: Seed of all weights; the networks differ in their initial weights.
        lr: Learning rate of Adam.
    """

    def __init__(self, channels: int = 3, members: int = 5, width: int = 128, seed: int = 0, lr: float = 3e-4) -> None:
        super().__init__()
        whole(members, "members", 2)
        self.features = frozen_features(channels, whole(seed, "seed"))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.members = nn.ModuleList(
                nn.Sequential(nn.Linear(FEATURES, width), nn.ReLU(), nn.Linear(width, FEATURES)) for _ in range(members)
            )
        self.optimizer = torch.optim.Adam(self.members.parameters(), lr)

    def errors(self, before: Tensor, frames: Tensor) -> Tensor:
        """Compute the variance (n,) of the members' predictions, averaged over features."""
        return self._predictions(before).var(0).mean(1)

    def loss(self, before: Tensor, frames: Tensor) -> Tensor:
        """Compute the mean squared error of all members."""
        truth = self.features(frames).flatten(1)
        return (self._predictions(before) - truth).square().mean()

    def _predictions(self, before: Tensor) -> Tensor:
        """Compute the members' predictions, (E, n, F)."""
        seen = self.features(before).flatten(1)
        return torch.stack([member(seen) for member in self.members])


def _network(channels: int, size: int) -> nn.Sequential:
    """Make convolutions of 32, 64 and 64 channels and two layers of 512 (appendix E)."""
    convolutions = nn.Sequential(
        nn.Conv2d(channels, 32, 8, 4),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, 2),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3),
        nn.ReLU(),
        nn.Flatten(),
    )
    if size < 36:
        raise ValueError(f"Frames are {size} pixels along a side; random network distillation needs 36 or more.")
    with torch.no_grad():
        wide = convolutions(torch.zeros(1, channels, size, size)).shape[1]
    return nn.Sequential(convolutions, nn.Linear(wide, 512), nn.ReLU(), nn.Linear(512, 512))
