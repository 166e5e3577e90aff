"""Adversarial imitation of video, the baseline that VIPER is compared with (AMP; Peng et al., 2021).

A discriminator learns to distinguish the expert's pairs of consecutive frames from the agent's.

Shapes: n environments, B pairs, C H W frame.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from flexlam_rl.agents.rewards.density import Scores
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.modes import own_modes
from flexlam_rl.utils.numbers import whole

ExpertPairs = Callable[[int, torch.Generator], Tensor]
"""Function `draw(count, generator)` that draws pairs of the expert's consecutive frames, uint8 (B, 2, C, H, W)."""


class AdversarialImitation(nn.Module):
    """A density whose score comes from a discriminator d: max(0, 1 - (d - 1)^2 / 4), which is 1 for the expert's pairs.

    The discriminator is trained by regression to 1 for the expert's pairs and to -1 for the agent's, with a penalty on
    its gradient at the expert's pairs. It takes a training step whenever `batch` pairs of the agent have been
    collected.

    Args:
        expert: Function that draws pairs of the expert.
        rows: Number of environments, n.
        channels, size: Number of channels and side length of the frames, which are square.
        batch: Smallest number of pairs of the agent for a training step, B; as many of the expert are drawn.
        penalty: Weight of the gradient penalty.
        seed: Seed of the weights and the draws.
        lr: Learning rate of Adam.
        learns: Whether it learns; if not, it only scores.
    """

    figure = "discriminator"

    def __init__(
        self,
        expert: ExpertPairs,
        rows: int,
        channels: int = 3,
        size: int = 64,
        batch: int = 64,
        penalty: float = 10.0,
        seed: int = 0,
        lr: float = 1e-4,
        learns: bool = True,
    ) -> None:
        super().__init__()
        self.expert, self.rows, self.batch = expert, whole(rows, "rows", 1), whole(batch, "batch", 1)
        self.penalty, self.learns = penalty, learns
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(whole(seed, "seed"))
            self.net = nn.Sequential(
                nn.Conv2d(2 * channels, 32, 4, 2, 1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(32, 64, 4, 2, 1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(64, 64, 4, 2, 1),
                nn.LeakyReLU(0.2),
                nn.Flatten(),
                nn.Linear(64 * (size // 8) ** 2, 1),
            )
        self.generator = torch.Generator().manual_seed(seed)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr, betas=(0.5, 0.999))
        self._last: Tensor | None = None
        self._waiting: list[Tensor] = []

    def score(self, frames: Tensor) -> Scores:
        """Score the newest frames, as `Density` describes."""
        if self._last is None:
            raise ValueError("score is asked for before any episode has begun; expected advance first.")
        with own_modes():
            told = self._told(torch.stack([self._last, frames], dim=1))
            return Scores((1.0 - (told - 1.0).square() / 4.0).clamp_min(0.0), told[:, None])

    def advance(self, frames: Tensor, begins: Tensor) -> None:
        """Take in frames, as `Density` describes, and learn when enough pairs have been collected."""
        if self._last is not None and self.learns and not bool(begins.all()):
            kept = ~begins
            self._waiting.append(torch.stack([self._last[kept], frames[kept]], dim=1))
            if sum(map(len, self._waiting)) >= self.batch:
                pairs = torch.cat(self._waiting)
                self._waiting = []
                self.learn(self.expert(len(pairs), self.generator), pairs)
        self._last = frames.clone()

    def learn(self, expert: Tensor, agent: Tensor) -> dict[str, float]:
        """Take a training step on pairs of both kinds, uint8 (B, 2, C, H, W), and return the parts of the loss."""
        with own_modes(grad=True):
            real = to_unit(expert).requires_grad_(True)
            told, other = self._told(real), self._told(agent)
            (slope,) = torch.autograd.grad(told.sum(), real, create_graph=True)
            parts = {
                "expert": (told - 1.0).square().mean(),
                "agent": (other + 1.0).square().mean(),
                "penalty": slope.flatten(1).square().sum(1).mean(),
            }
            loss = parts["expert"] + parts["agent"] + self.penalty * parts["penalty"]
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
        return {name: float(value.detach()) for name, value in parts.items()}

    def _told(self, pairs: Tensor) -> Tensor:
        """Compute the discriminator's output for pairs, (B,)."""
        return self.net(to_unit(pairs).flatten(1, 2))[:, 0]
