"""Planning by trying sequences of actions in a world model: random shooting, and the cross-entropy method (CEM).

Random shooting draws sequences of actions uniformly, imagines the outcome of each, and takes the first action of the
sequence with the largest sum of discounted rewards. CEM draws several times; from the second time on, it draws by the
frequency of each choice in the best sequences of the time before (Rubinstein, 1999; for planning in latent space:
Hafner et al., 2019).

Shapes: n rows, N candidates per row, H steps, A choices per dimension of an action, D dimensions of an action.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from flexlam_rl.agents.imagined.controls import Controls
from flexlam_rl.agents.imagined.memory import Memory
from flexlam_rl.agents.imagined.rewards import FrameRewards
from flexlam_rl.utils.numbers import real, whole
from flexlam_rl.utils.plain import Plain


@dataclass(frozen=True)
class Search(Plain):
    """Options of the search for a plan.

    Attributes:
        horizon: Number of steps of a plan, H.
        candidates: Number of sequences per round, N.
        rounds: Number of rounds: 1 is random shooting, more are CEM.
        elites: Number of best sequences of a round from which the next round draws.
        smoothing: Share of uniform choices that CEM keeps.
        discount: Discount factor of rewards per step.
    """

    horizon: int = 8
    candidates: int = 64
    rounds: int = 1
    elites: int = 8
    smoothing: float = 0.1
    discount: float = 0.99

    def __post_init__(self) -> None:
        """Check all options.

        Raises:
            ValueError: A number is out of range.
        """
        super().__post_init__()
        for name in ("horizon", "candidates", "rounds"):
            whole(getattr(self, name), name, 1)
        whole(self.elites, "elites", 1, self.candidates)
        for name in ("smoothing", "discount"):
            if real(getattr(self, name), name) > 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a number from 0 to 1.")


@dataclass(frozen=True)
class Plan:
    """Result of a search.

    Attributes:
        actions: The best sequence of each row, (n, H) or (n, H, D).
        values: Sums of their discounted rewards, (n,).
    """

    actions: np.ndarray
    values: np.ndarray


def search(
    memory: Memory,
    video: Tensor,
    controls: Controls,
    rewards: FrameRewards,
    options: Search,
    generators: Sequence[np.random.Generator],
) -> Plan:
    """Search for the best sequence of actions of each row.

    Args:
        memory: What the world model remembers of the rows.
        video: Their newest frames, as many as the rewards look at, uint8 (n, window, C, H, W).
        controls: Controls of the world model.
        rewards: Rewards of imagined frames.
        options: Options of the search.
        generators: One generator per row, so that a row's plan does not depend on other rows.

    Returns:
        The best sequences.
    """
    space, n = controls.space, memory.rows
    choices = np.array([space.n] if isinstance(space, spaces.Discrete) else space.nvec)
    shape = (options.horizon, len(choices), int(choices.max()))
    uniform = np.broadcast_to((np.arange(shape[2]) < choices[:, None]) / choices[:, None], shape)
    odds = np.repeat(uniform[None], n, 0)
    best, value = np.zeros((n, *shape[:2]), np.int64), np.full(n, -np.inf)
    for _ in range(options.rounds):
        drawn = np.stack([_draw(odds[i], options.candidates, generators[i]) for i in range(n)])
        seeds = [int(generator.integers(2**63)) for generator in generators]
        flat = drawn.reshape(-1, *shape[:2])
        given = flat[..., 0] if isinstance(space, spaces.Discrete) else flat
        values = imagine(memory, video, controls, rewards, given, seeds, options.discount)
        values = values.reshape(n, options.candidates)
        for i in range(n):
            order = np.argsort(-values[i], kind="stable")
            if values[i, order[0]] > value[i]:
                best[i], value[i] = drawn[i, order[0]], values[i, order[0]]
            kept = drawn[i, order[: options.elites]]
            often = (kept[..., None] == np.arange(shape[2])).mean(0)
            odds[i] = (1.0 - options.smoothing) * often + options.smoothing * uniform
    return Plan(best[..., 0] if isinstance(space, spaces.Discrete) else best, value)


def imagine(
    memory: Memory,
    video: Tensor,
    controls: Controls,
    rewards: FrameRewards,
    actions: np.ndarray,
    seeds: Sequence[int],
    discount: float,
) -> np.ndarray:
    """Compute the sums of discounted rewards of sequences of actions.

    All candidates of a row are imagined with the same random numbers, so that they differ only in their actions.

    Args:
        memory, video, controls, rewards: As for `search`.
        actions: N sequences per row, row by row, (n N, H, ...).
        seeds: Seed of the random numbers of each row.
        discount: Discount factor of rewards per step.

    Returns:
        The sums, (n N,).
    """
    count = len(actions) // memory.rows
    ahead = memory.repeated(np.arange(memory.rows), count)
    window = video.repeat_interleave(count, 0)
    streams = [torch.Generator().manual_seed(seed) for seed in seeds for _ in range(count)]
    every, total = np.arange(len(actions)), np.zeros(len(actions))
    for step in range(actions.shape[1]):
        frames = ahead.step(every, controls.told(actions[:, step]), streams)
        window = torch.cat([window[:, 1:], frames[:, None]], dim=1)
        parts = [rewards(part) for part in window.split(memory.chunk or len(window))]
        total += discount**step * torch.cat(parts).numpy()
    return total


def _draw(odds: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Draw sequences (count, H, D) with the probabilities (H, D, A) of each choice."""
    numbers = generator.random((count, *odds.shape[:2]))
    sums = odds.cumsum(-1)
    found = (numbers[..., None] * sums[..., -1:] >= sums).sum(-1)
    return np.minimum(found, odds.shape[-1] - 1)
