"""Video of four kinds to audit a reward on: by the expert, by the expert with random bursts, by the random policy, and
by players that repeat one action, as agents do that have found a view where everything is likely.

Shapes: T steps, E episodes, C H W frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.agents.collection.perturb import Perturbed
from flexlam_rl.agents.environments import evaluation_seed, make_single
from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.rollout import Start, in_order, play_episodes
from flexlam_rl.envs.spec import EnvSpec

KINDS = ("expert", "perturbed", "random", "repeated")


class Repeated:
    """A policy that always takes the same action."""

    def __init__(self, action: int) -> None:
        self.action = action

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, None]:
        """Return the action."""
        return np.asarray(self.action), None


@dataclass(frozen=True)
class Video:
    """E episodes, cut to the same number of steps.

    Attributes:
        frames: Frames, uint8 (T + 1, E, C, H, W).
        begins: Whether a frame does not follow from the one before, bool (T + 1, E).
        returns: Sum of the rewards of these T steps, (E,).
        kinds: Kind of player of each episode, one of `KINDS`.
    """

    frames: Tensor
    begins: Tensor
    returns: np.ndarray
    kinds: tuple[str, ...]


def record(
    level: str,
    spec: EnvSpec,
    episodes: int,
    steps: int,
    expert: str,
    perturb: float,
    seed: int,
    kinds: Sequence[str] = KINDS,
) -> Video:
    """Play the same held-out episodes of a level with each kind of player, and the first one with each repeated action.

    Args:
        level: Name of the level.
        spec: Record of the level: how it is shown.
        episodes: Number of episodes per kind.
        steps: Largest number of steps, T; all episodes are cut to that, or to the shortest one.
        expert: Name of the expert.
        perturb: Share of random steps of the perturbed expert.
        seed: Seed of the episodes and of all random choices.
        kinds: Kinds of players, some of `KINDS`.
    """
    frames, restarts, rewards, players = [], [], [], []
    starts = [Start(i, evaluation_seed(1000 * seed + i)) for i in range(episodes)]
    for kind in kinds:
        env = make_single(spec, level, evaluation=True)
        try:
            for player in _players(kind, env, expert, perturb, seed):
                for _, episode in play_episodes(env, player, in_order(starts[:1] if kind == "repeated" else starts)):
                    # copies what is kept, because whole episodes would fill the memory
                    frames.append(episode.frames[: steps + 1].copy())
                    rows = len(episode.frames)
                    restarts.append(np.zeros(rows, np.bool_) if episode.restart is None else episode.restart)
                    rewards.append(episode.reward)
                    players.append(kind)
        finally:
            env.close()
    length = min(map(len, frames))
    begins = np.stack([restart[:length] for restart in restarts], axis=1)
    begins[0] = True
    pictures = torch.from_numpy(np.stack([x[:length] for x in frames], axis=1)).movedim(-1, -3).contiguous()
    returns = np.array([reward[: length - 1].sum() for reward in rewards])
    return Video(pictures, torch.from_numpy(begins), returns, tuple(players))


def _players(kind: str, env: Any, expert: str, perturb: float, seed: int) -> list[Any]:
    if kind == "repeated":
        return [Repeated(action) for action in range(env.action_space.n)]
    player = make_expert("random" if kind == "random" else expert, env, seed=seed)
    return [Perturbed(player, env, perturb, seed) if kind == "perturbed" else player]
