"""Pairs of consecutive steps on litelab, with what a camera does not show: the actions, the pose and the depth.

Legend: `B` pairs of steps, `T` steps of an episode, `C H W` frame.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.agents.collection.perturb import Perturbed
from flexlam_rl.agents.environments import evaluation_seed
from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.rollout import Start, in_order, play_episodes
from flexlam_rl.agents.watchers import Counter
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.observations import FRAME
from flexlam_rl.envs.spec import EnvSpec

GAP = 7
"""Number of steps between the first frames of two pairs of an episode."""
RANDOM = 0.5
"""Share of random steps, because experts look up and down too seldom to show how that is encoded."""
_DEPTH = "RGBD_INTERLEAVED"


@dataclass(frozen=True)
class Walks:
    """B pairs of steps.

    Attributes:
        frames: Frames before, between and after the steps, uint8 (B, 3, C, H, W).
        action: Actions, int64 (B, 2).
        motion: Motion in the first step, float (B, 4): forward and left in world units, turns to the left and up in
            degrees.
        depth: Depth of the frames in world units, float (B, 3, H, W); at most 4,096.
        level: Number of the level, int64 (B,).
        levels: Names of the levels.
    """

    frames: Tensor
    action: Tensor
    motion: Tensor
    depth: Tensor
    level: Tensor
    levels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.frames)


class _Noting:
    """Wraps a policy, and records pose and depth before each of its steps."""

    def __init__(self, policy: Any, env: Any) -> None:
        self.policy, self.env = policy, env
        self.poses: list[np.ndarray] = []
        self.depths: list[np.ndarray] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.policy, name)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        player = self.env.worlds["players"][:, 0]
        turns = np.stack([player["yaw"], player["pitch"]], -1) * (360 / 65536)
        self.poses.append(np.concatenate([player["pos"], turns], -1))
        self.depths.append(observation[_DEPTH][..., 3].copy())
        done: tuple[np.ndarray, Any] = self.policy.predict(observation, state, episode_start, deterministic)
        return done


def walks(
    spec: EnvSpec, levels: Sequence[str], count: int, seed: int = 0, report: Callable[[int], None] = lambda _: None
) -> Walks:
    """Play held-out episodes, half of the steps by the scripted expert and half in random bursts, and take pairs of
    steps.

    Args:
        spec: Record of litelab's levels: how they are shown and controlled.
        levels: Names of the levels.
        count: Number of pairs, B, spread equally over the levels (to within one).
        seed: Seed of the episodes and of the random bursts.
        report: Called with the number of environments that have taken a step.

    Raises:
        ValueError: The record is of another engine than litelab, or there are fewer pairs than levels.
    """
    if spec.engine != "litelab":
        raise ValueError(f"The audit needs litelab, which tells pose and depth; the record is of {spec.engine!r}.")
    if count < len(levels):
        raise ValueError(f"transitions is {count}; at least one per level is needed, {len(levels)}.")
    each = -(-count // len(levels))
    batches = min(4, each)
    steps = GAP * (-(-each // batches) + 4)  # a few more than needed, because some cross a restart of the map
    tasks = [level for level in levels for _ in range(batches)]
    options: dict[str, Any] = {"observations": (FRAME, _DEPTH), "max_episode_steps": steps}
    env = find_domain(spec.domain).make_vec(tasks, spec, evaluation=True, **options)
    try:
        policy = _Noting(Perturbed(make_expert("scripted", env, 1.0, seed), env, RANDOM, seed), env)
        starts = in_order([Start(i, evaluation_seed(seed + i), seed + i) for i in range(len(tasks))])
        played = dict(play_episodes(env, policy, starts, watchers=(Counter(report),)))
    finally:
        env.close()
    poses, depths = np.stack(policy.poses, 1), np.stack(policy.depths, 1)
    rows: list[tuple[int, int]] = []
    for first in range(0, len(tasks), batches):
        found = [
            (place, t)
            for place in range(first, first + batches)
            for t in range(1, len(played[place].action) - 2, GAP)
            if not played[place].restart[t + 1 : t + 3].any()
        ]
        level = first // batches
        rows += found[: count * (level + 1) // len(levels) - count * level // len(levels)]
    frames = np.stack([played[i].frames[t : t + 3] for i, t in rows])
    pose = np.stack([poses[i, t : t + 2] for i, t in rows])
    return Walks(
        torch.from_numpy(frames).movedim(-1, 2).contiguous(),
        torch.from_numpy(np.stack([played[i].action[t : t + 2] for i, t in rows]).astype(np.int64)),
        torch.from_numpy(_motion(pose)).float(),
        torch.from_numpy(np.stack([depths[i, t : t + 3] for i, t in rows])).float() * (4096 / 255),
        torch.from_numpy(np.array([i // batches for i, _ in rows])),
        tuple(levels),
    )


def _motion(pose: np.ndarray) -> np.ndarray:
    """Convert poses (B, 2, 5), x y z yaw pitch, to motion (B, 4): forward, left, turn to the left, turn up."""
    gone = pose[:, 1] - pose[:, 0]
    yaw = np.radians(pose[:, 0, 3])
    forward = np.cos(yaw) * gone[:, 0] + np.sin(yaw) * gone[:, 1]
    left = np.cos(yaw) * gone[:, 1] - np.sin(yaw) * gone[:, 0]
    turn = (gone[:, 3] + 180) % 360 - 180
    return np.stack([forward, left, turn, -gone[:, 4]], -1)
