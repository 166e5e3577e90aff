"""Clips of a level of DMLab with the camera's pose at each frame, recorded on litelab or read from rollouts.

Shapes: N clips, T frames, C H W picture.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.agents.collection.protocols import POSITION, ROTATION
from flexlam_rl.agents.environments import evaluation_seed, make_single
from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.recorders import Tape
from flexlam_rl.agents.rollout import Start, in_order, play_episodes
from flexlam_rl.datasets import Rollouts, Windows
from flexlam_rl.envs.spec import EnvSpec

_TRIES = 20  # largest number of episodes per clip, because some restart their map too often


@dataclass(frozen=True)
class PosedClips:
    """N clips from N episodes.

    Attributes:
        frames: Frames, uint8 (N, T, C, H, W).
        actions: Action after each frame, int64 (N, T - 1); None where they are not known.
        places: Positions x and y of the camera in world units (a maze cell has 100), (N, T, 2); None where they are not
            known.
        yaws: Directions of the camera in degrees, (N, T); None where they are not known.
    """

    frames: Tensor
    actions: np.ndarray | None = None
    places: np.ndarray | None = None
    yaws: np.ndarray | None = None

    def cut(self, length: int) -> "PosedClips":
        """Return the first `length` frames of each clip."""
        return PosedClips(
            self.frames[:, :length],
            None if self.actions is None else self.actions[:, : length - 1],
            None if self.places is None else self.places[:, :length],
            None if self.yaws is None else self.yaws[:, :length],
        )


def record_clips(level: str, spec: EnvSpec, count: int, length: int, player: str, seed: int = 0) -> PosedClips:
    """Play held-out episodes, and keep the first run of T frames of each that has no restart of the map.

    Args:
        level: Name of the level.
        spec: Record of the level: how it is shown; its engine is litelab.
        count: Number of clips, N.
        length: Number of frames per clip, T.
        player: Name of the expert that plays.
        seed: Seed of the episodes and of all random choices.

    Raises:
        ValueError: Too few episodes have runs of T frames, or the actions are not single numbers.
    """
    env = make_single(spec, level, True, further=[POSITION.observation, ROTATION.observation])
    record = partial(Tape, further=(POSITION, ROTATION))
    frames, actions, poses = [], [], []
    try:
        starts = [Start(i, evaluation_seed(1000 * seed + i)) for i in range(count * _TRIES)]
        for _, episode in play_episodes(env, make_expert(player, env, seed=seed), in_order(starts), record):
            if episode.action is None:
                raise ValueError(f"The actions of {spec.action_set!r} are not single numbers, as clips need them.")
            first = _first_run(np.asarray(episode.restart), length)
            if first is None:
                continue
            rows = slice(first, first + length)
            frames.append(torch.from_numpy(episode.frames[rows].copy()).movedim(-1, 1))
            actions.append(np.asarray(episode.action)[first : first + length - 1].astype(np.int64))
            poses.append(pose_of(episode.extra[POSITION.name][rows], episode.extra[ROTATION.name][rows]))
            if len(frames) == count:
                break
    finally:
        env.close()
    if len(frames) < count:
        raise ValueError(
            f"Only {len(frames)} of {count * _TRIES} episodes of {level!r} have {length} frames without a restart of "
            "the map; expected a longer level, or shorter clips."
        )
    places, yaws = (np.stack(part) for part in zip(*poses, strict=True))
    return PosedClips(torch.stack(frames).contiguous(), np.stack(actions), places, yaws)


def stored_clips(rollouts: Rollouts, count: int, length: int) -> PosedClips:
    """Read clips from rollouts, evenly spread.

    They have actions if these are single numbers, and poses if the rollouts were collected with poses (`flexlam collect
    --protocol dmlab-40k`).

    Args:
        rollouts: The rollouts.
        count: Largest number of clips, N.
        length: Number of frames per clip, T.

    Raises:
        ValueError: All episodes are shorter.
    """
    single = all(store.with_actions and store.action.dtype.kind in "iu" for store in rollouts.stores)
    windows = Windows(rollouts, length, ("action",) if single else ())
    items = np.unique(np.linspace(0, len(windows) - 1, count).astype(np.int64))
    read = windows.read(items)
    frames = torch.from_numpy(read["frames"]).movedim(-1, 2).contiguous()
    actions = read["action"][:, :-1].astype(np.int64) if single and read["action"].ndim == 2 else None
    names = [f"extra/{column.name}" for column in (POSITION, ROTATION)]
    if not all(set(names) <= set(store.column_names) for store in rollouts.stores):
        return PosedClips(frames, actions)
    poses = []
    for number, row in zip(read["level"].tolist(), read["row"].tolist(), strict=True):
        position, rotation = (rollouts.stores[number].column(name).whole()[row : row + length] for name in names)
        poses.append(pose_of(position, rotation))
    places, yaws = (np.stack(part) for part in zip(*poses, strict=True))
    return PosedClips(frames, actions, places, yaws)


def pose_of(position: np.ndarray, rotation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Convert a recording's positions (T, 3), and pitch, yaw and roll (T, 3), to places (T, 2) and yaws (T,)."""
    return position[:, :2], rotation[:, 1]


def _first_run(restart: np.ndarray, length: int) -> int | None:
    """Find the first run of `length` rows in which only the first row may follow a restart; return its first row."""
    begins = [0, *np.flatnonzero(restart).tolist()]
    ends = [*begins[1:], len(restart)]
    return next((begin for begin, end in zip(begins, ends, strict=True) if end - begin >= length), None)
