"""Transitions that an expert plays in the environment that a bundle was trained in.

Legend: `B` transitions, `C H W` frame.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.agents.environments import evaluation_seed, make_single
from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.policy.bundle import EnvironmentFacts
from flexlam_rl.agents.rollout import Start, in_order, play_episodes
from flexlam_rl.utils.pictures import evenly


@dataclass(frozen=True)
class Transitions:
    """B transitions of one level: frames uint8 (B, C, H, W) before and after, and actions and previous actions int64
    (B, 1).
    """

    level: str
    obs: Tensor
    next_obs: Tensor
    action: Tensor
    previous: Tensor


def expert_transitions(
    facts: EnvironmentFacts, level: str, count: int, seed: int = 0, textures: str | None = None
) -> Transitions:
    """Play an episode of the scripted expert on litelab, and take transitions spread evenly over it.

    No transition crosses a restart of the map.

    Args:
        facts: The environment that a bundle was trained in.
        level: Name of the level.
        count: Largest number of transitions, B.
        seed: Seed of the episode (from the evaluation stream, which training never uses).
        textures: Look of the level; None for the last one of the facts.

    Raises:
        ValueError: The facts name another engine than litelab, on which the expert cannot play.
    """
    if facts.engine != "litelab":
        raise ValueError(
            f"This policy was trained on {facts.engine!r}; the expert that shows transitions plays on 'litelab' only."
        )
    env = make_single(facts.spec.with_look(textures=textures or facts.textures[-1]), level, evaluation=True)
    try:
        expert = make_expert("scripted", env, seed=seed)
        ((_, episode),) = play_episodes(env, expert, in_order([Start(0, evaluation_seed(seed))]))
    finally:
        env.close()
    good = np.flatnonzero(~episode.restart[2:]) + 1  # the first transition has no previous action
    rows = good[evenly(count, len(good))]
    pictures = torch.from_numpy(episode.frames).movedim(-1, 1).contiguous()
    taken = torch.from_numpy(episode.action.astype(np.int64))[:, None]
    return Transitions(level, pictures[rows], pictures[rows + 1], taken[rows], taken[rows - 1])
