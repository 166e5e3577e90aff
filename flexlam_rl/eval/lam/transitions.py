"""Transitions to look at: an expert's, fresh from the environment that a bundle was trained in.

Legend: `B` transitions, `C H W` frame.
"""

from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

import flexlam_rl  # noqa: F401 - registers the environments
from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.policy.bundle import EnvironmentFacts
from flexlam_rl.utils.pictures import evenly


@dataclass(frozen=True)
class Transitions:
    """B transitions of one level: frames uint8 (B, C, H, W) before and after, actions and previous actions int64 (B,
    1).
    """

    level: str
    obs: Tensor
    next_obs: Tensor
    action: Tensor
    previous: Tensor


def expert_transitions(
    facts: EnvironmentFacts, level: str, count: int, seed: int = 0, textures: str | None = None
) -> Transitions:
    """Transitions spread evenly over an episode of the scripted expert on litelab; none leads across a restart of the
    map.

    Args:
        facts: The environment, as a bundle says it.
        level: The level.
        count: B, at most.
        seed: Of the episode (from the evaluation stream, which training never shares).
        textures: Look; None for the last one of the facts.

    Raises:
        ValueError: The facts are of another engine than litelab, on which no expert can play.
    """
    if facts.engine != "litelab":
        raise ValueError(
            f"This policy was trained on {facts.engine!r}; the expert that shows transitions plays on 'litelab' only."
        )
    env = gym.make(
        "FlexLAM-DMLab-v0",
        level=level,
        engine="litelab",
        action_set=facts.action_set,
        frame_skip=facts.frame_skip,
        width=facts.width,
        height=facts.height,
        hud=facts.hud,
        textures=textures or facts.textures[-1],
        evaluation=True,
    )
    frames, actions, usable = [], [], []
    try:
        expert = make_expert("scripted", env, seed=seed)
        observation, _ = env.reset(seed=seed)
        state, start, over = None, np.ones(1, np.bool_), False
        frames.append(observation)
        while not over:
            action, state = expert.predict(observation, state, start)
            start = np.zeros(1, np.bool_)
            number = int(np.asarray(action).reshape(()))
            observation, _, terminated, truncated, info = env.step(number)
            over = terminated or truncated
            frames.append(observation)
            actions.append(number)
            usable.append(not info["map_reset"])
    finally:
        env.close()
    good = np.flatnonzero(usable[1:]) + 1  # the first has no action before it
    rows = good[evenly(count, len(good))]
    pictures = torch.from_numpy(np.stack(frames)).movedim(-1, 1).contiguous()
    taken = torch.tensor(actions)[:, None]
    return Transitions(level, pictures[rows], pictures[rows + 1], taken[rows], taken[rows - 1])
