"""Planning by trying sequences of actions in a world model: random shooting, and the cross-entropy method (CEM).

Random shooting draws sequences of actions uniformly, imagines what each leads to, and takes the first action of the one
whose discounted rewards add up to most. CEM draws again, several times, each time from how often each choice occurs in
the best sequences of the time before (Rubinstein, 1999; as a planner in latent space: Hafner et al., 2019).

Shapes: n rows, N candidates of each, H steps, A choices of each dimension of an action, D dimensions.
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
    """How a plan is looked for.

    Attributes:
        horizon: H.
        candidates: N, sequences per round.
        rounds: 1 is random shooting, more are CEM.
        elites: Best sequences of a round, from which the next one draws.
        smoothing: Share of uniform choices that CEM keeps.
        discount: Of rewards, per step.
    """

    horizon: int = 8
    candidates: int = 64
    rounds: int = 1
    elites: int = 8
    smoothing: float = 0.1
    discount: float = 0.99

    def __post_init__(self) -> None:
        """Raise ValueError where a number is out of range."""
        super().__post_init__()
        for name in ("horizon", "candidates", "rounds"):
            whole(getattr(self, name), name, 1)
        whole(self.elites, "elites", 1, self.candidates)
        for name in ("smoothing", "discount"):
            if real(getattr(self, name), name) > 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a number from 0 to 1.")


@dataclass(frozen=True)
class Plan:
    """What was found.

    Attributes:
        actions: The best sequences, (n, H) or (n, H, D).
        values: Their discounted rewards, (n,).
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
    """Look for the best sequence of actions of each row.

    Args:
        memory: What the world model remembers of the rows.
        video: Their newest frames, as many as the rewards look at, uint8 (n, window, C, H, W).
        controls: The actions.
        rewards: Of imagined frames.
        options: How to look.
        generators: One per row, of all chance: a row's plan depends on no other row.
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
    """Give the discounted rewards (n N,) of sequences of actions (n N, H, ...), N for each row one after the other.

    The candidates of a row meet the same chance, which its seed tells: what differs between them is what they do.
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
    """Sequences (count, H, D) from the odds (H, D, A) of each choice."""
    numbers = generator.random((count, *odds.shape[:2]))
    sums = odds.cumsum(-1)
    found = (numbers[..., None] * sums[..., -1:] >= sums).sum(-1)
    return np.minimum(found, odds.shape[-1] - 1)
