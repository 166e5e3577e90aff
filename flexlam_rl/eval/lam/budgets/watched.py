"""k* of an expert's transitions on litelab, where it is known what happened: turns, moves, shots, falls, rewards.

Legend: `N` transitions, `T` steps.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from flexlam_rl.agents.environments import evaluation_seed, make_single
from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.rollout import Start, in_order, play_episodes
from flexlam_rl.agents.watchers import Watcher
from flexlam_rl.envs.base import base_env
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.eval.lam.budgets.figures import change, detail
from flexlam_rl.eval.lam.budgets.stored import Shown
from flexlam_rl.utils.pictures import evenly

TURN = 65536
JUMP = 150.0
"""Distance in world units (a wall is 100 long) that nobody runs in one step, and that therefore means a respawn or a
teleporter.
"""
Search = Callable[[torch.Tensor, np.ndarray], np.ndarray]
STATE = ("yaw", "pitch", "health", "alive", "flash_ms")


class _Eye(Watcher):
    """Records the player's true state at every step."""

    def __init__(self, env: Any) -> None:
        self._worlds = base_env(env).worlds
        self.rows: list[dict[str, Any]] = []

    def wants(self, key: Any) -> bool:
        """Ask for every episode."""
        return True

    def frames(self, key: Any, frame: np.ndarray, step: int, total: float) -> None:
        """Record the state of a frame."""
        player = self._worlds["players"][0, 0]
        self.rows.append({**{name: float(player[name]) for name in STATE}, "pos": player["pos"][:2].copy()})

    def column(self, name: str) -> np.ndarray:
        """Return a part of the state at each step, (T, ...)."""
        return np.array([row[name] for row in self.rows])


def watched(spec: EnvSpec, level: str, seed: int, most: int, search: Search) -> Shown:
    """Let the scripted expert play an episode, and search for k* of its transitions.

    Args:
        spec: Record of the level on litelab: how it is shown and controlled.
        level: Name of the level.
        seed: Seed of the episode, from the evaluation stream.
        most: Largest number of transitions to search, spread evenly.
        search: Function that searches consecutive frames, as `models.flexlam.adaptive.stored.searched_rows` does.

    Raises:
        ValueError: The engine is not litelab.
    """
    if spec.engine != "litelab":
        raise ValueError(f"The engine is {spec.engine!r}; only 'litelab' tells what truly happens in its world.")
    env = make_single(spec, level, evaluation=True)
    try:
        eye = _Eye(env)
        expert = make_expert("scripted", env, seed=seed)
        ((_, episode),) = play_episodes(env, expert, in_order([Start(0, evaluation_seed(seed))]), watchers=(eye,))
    finally:
        env.close()
    steps = len(eye.rows) - 1  # the state after the last step is not recorded
    pairs = ~episode.restart[1 : steps + 1]
    frames = torch.from_numpy(episode.frames[: steps + 1]).movedim(-1, 1).contiguous()
    found = search(frames, pairs)
    rows = np.flatnonzero(found[:, 0])
    rows = rows[evenly(most, len(rows))]
    features, events = _happened(eye, episode.reward[:steps])
    pictures = episode.frames
    features |= {"detail": detail(pictures[1 : steps + 1]), "change": change(pictures[:steps], pictures[1 : steps + 1])}
    return Shown(
        found[rows],
        {name: values[rows] for name, values in features.items()},
        {name: values[rows] for name, values in events.items()},
        pictures[rows],
        pictures[rows + 1],
    )


def _happened(eye: _Eye, reward: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Compute the features and events of each step."""
    turned = sum(
        np.abs((np.diff(eye.column(name)) + TURN / 2) % TURN - TURN / 2) * (360 / TURN) for name in ("yaw", "pitch")
    )
    moved = np.linalg.norm(np.diff(eye.column("pos"), axis=0), axis=-1)
    jumped, alive = moved > JUMP, np.diff(eye.column("alive"))
    features = {"camera": np.where(jumped, np.nan, turned), "speed": np.where(jumped, np.nan, moved)}
    events = {
        "reward": reward > 0,
        "punishment": reward < 0,
        "shot": np.diff(eye.column("flash_ms")) > 0,
        "hit": np.diff(eye.column("health")) < 0,
        "tagged": alive < 0,
        "teleport": jumped,
    }
    return features, events
