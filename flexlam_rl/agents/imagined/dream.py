"""n imagined episodes side by side, each with its own real frames to begin with and its own random stream.

Shapes: n rows, m of them, T frames of a start, H W C frame of an environment, C H W frame of a model.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.agents.imagined.memory import Memory
from flexlam_rl.agents.imagined.starts import Start
from flexlam_rl.agents.imagined.world import World


class Dream:
    """Imagined episodes of a world. Each depends only on its seed and its actions.

    Args:
        world: The world that they take place in.
        rows: Number of episodes, n.
        chunk: Number of rows that are computed together, as for `Memory`.

    Attributes:
        frames: The newest frames, uint8 (n, H, W, C).
        levels: Name of the level that each row's first frames come from.
    """

    def __init__(self, world: World, rows: int, chunk: int | None = None) -> None:
        self.world, self.rows = world, rows
        self._memory = Memory(world.model, rows, chunk)
        c, h, w = world.model.frame_shape
        self.frames = np.zeros((rows, h, w, c), np.uint8)
        self.levels = [""] * rows
        self._video = torch.zeros(rows, world.rewards.window, c, h, w, dtype=torch.uint8)
        self._streams = [torch.Generator() for _ in range(rows)]

    def begin(self, which: np.ndarray, seeds: Sequence[int]) -> None:
        """Begin episodes of these seeds in the rows `which` (m,)."""
        starts = [self.world.starts.draw(seed) for seed in seeds]
        frames = torch.from_numpy(np.stack([start.frames for start in starts])).movedim(-1, 2).contiguous()
        past, like = self._told_of(starts, frames)
        self._memory.begin(which, frames, past, like)
        for i, seed, start in zip(which.tolist(), seeds, starts, strict=True):
            self._streams[i].manual_seed(int(seed))
            self.levels[i] = start.level
        window = self._video.shape[1]
        known = frames[:, -window:]
        filled = torch.cat([known[:, :1].expand(-1, window - known.shape[1], -1, -1, -1), known], dim=1)
        self._video[torch.from_numpy(which)] = filled
        self.frames[which] = frames[:, -1].movedim(1, -1).numpy()

    def step(self, which: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Take a step in the rows `which`.

        Args:
            which: Indices of the rows, (m,).
            actions: Their actions, checked by the controls, (m, ...).

        Returns:
            Rewards (m,), float64.
        """
        told = self.world.controls.told(actions)
        frames = self._memory.step(which, told, [self._streams[i] for i in which.tolist()])
        index = torch.from_numpy(which)
        self._video[index] = torch.cat([self._video[index, 1:], frames[:, None]], dim=1)
        self.frames[which] = frames.movedim(1, -1).numpy()
        return self._rewards(index)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Dream":
        """Copy the episodes; the copy continues as these would, in the same world."""
        other = copy.copy(self)
        other._memory = copy.deepcopy(self._memory)
        other.frames, other.levels, other._video = self.frames.copy(), list(self.levels), self._video.clone()
        other._streams = [stream.clone_state() for stream in self._streams]
        return other

    def _told_of(self, starts: Sequence[Start], frames: Tensor) -> tuple[Tensor | None, Tensor]:
        """Return what led from frame to frame of some starts, and an example of what the model is told."""
        controls = self.world.controls
        known = [start.actions for start in starts if start.actions is not None]
        past = controls.past(frames, np.stack(known) if len(known) == len(starts) else None)
        none = np.zeros((len(starts), *(controls.space.shape or ())), np.int64)
        return past, controls.told(none)[:, None]

    def _rewards(self, index: Tensor) -> np.ndarray:
        size = self._memory.chunk or len(index)
        found = []
        for part in index.split(size):
            video = self._video[part]
            short = 0 if self._memory.chunk is None else size - len(part)
            filled = torch.cat([video, video[:1].expand(short, *video.shape[1:])])
            found.append(self.world.rewards(filled)[: len(part)])
        return torch.cat(found).numpy()
