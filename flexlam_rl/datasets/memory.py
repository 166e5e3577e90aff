"""Rollouts in memory: episodes straight from an engine, with the reading interface of a store on disk."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.marks import EXPERT_CHOSE
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.datasets.segments import Segments
from flexlam_rl.envs.action_values import NO_ACTION, are_actions, no_actions


def _no_actions(origin: Origin, rows: int) -> np.ndarray:
    return np.full(rows, NO_ACTION, np.int16) if origin.actions is None else no_actions(origin.actions, rows)


class MemoryColumn:
    """One column with the interface of `Column`: `column[rows]`, `column.read(low, high)` and `column.whole()`."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values
        self._values.flags.writeable = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self._values.dtype

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, rows: Any) -> Any:
        return self._values[rows]

    def read(self, low: int, high: int) -> np.ndarray:
        """Read rows `low` to `high` (not included)."""
        return self._values[low:high]

    def whole(self) -> np.ndarray:
        """Return all rows, read-only."""
        return self._values


class MemoryFrames:
    """Frames (N, H, W, C) uint8 with the parts of `FrameReader`'s interface that samplers use."""

    def __init__(self, frames: np.ndarray) -> None:
        self._frames = frames
        self.row: tuple[int, ...] = frames.shape[1:]

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self._frames[rows]

    def read(self, low: int, high: int) -> np.ndarray:
        """Read rows `low` to `high` (not included)."""
        return self._frames[low:high]

    def read_spans(self, first: np.ndarray, span: int, out: np.ndarray, places: np.ndarray) -> None:
        """Copy `span` rows from each of `first` on into `out[places]`; `out` is (B, span, H, W, C)."""
        out[places] = self._frames[first[:, None] + np.arange(span)]


class MemoryStore:
    """Episodes of one task in memory, with the parts of `RolloutStore`'s interface that samplers use.

    Args:
        level: Name of the task.
        episodes: The episodes, in order; those without actions are video.
        origin: Where the episodes come from.
        split: "train" or "test".

    Raises:
        ValueError: There are no episodes.
    """

    def __init__(self, level: str, episodes: Sequence[Episode], origin: Origin, split: str = "train") -> None:
        if not episodes:
            raise ValueError(f"A store in memory of {level!r} got no episodes: expected at least one.")
        self.level, self.split, self.origin = level, split, origin
        self.path = f"memory:{level}/{split}"
        rows = np.array([episode.rows for episode in episodes], np.int64)
        start = np.cumsum(rows) - rows
        length = np.array([episode.length for episode in episodes], np.int64)
        self.episode_table = {"start": start, "rows": rows, "length": length}
        self.steps, self.rows = int(length.sum()), int(rows.sum())
        self.frames = MemoryFrames(np.concatenate([episode.frames for episode in episodes]))
        restart = np.concatenate([np.zeros(e.rows, bool) if e.restart is None else e.restart for e in episodes])
        self.segments = Segments.find(start, rows, np.flatnonzero(restart))
        self._columns = {"restart": MemoryColumn(restart)}
        self.actions = origin.actions
        empty = {"action": _no_actions(origin, self.rows), "reward": np.zeros(self.rows, np.float32)}
        for name, column in empty.items():
            if any(getattr(episode, name) is not None for episode in episodes):
                for episode, first in zip(episodes, start.tolist(), strict=True):
                    if getattr(episode, name) is not None:
                        column[first : first + episode.length] = getattr(episode, name)
                self._columns[name] = MemoryColumn(column)
        self.with_actions = "action" in self._columns
        if any(EXPERT_CHOSE in episode.extra for episode in episodes):
            marks = [episode.extra.get(EXPERT_CHOSE, np.ones(episode.rows, bool)) for episode in episodes]
            self._columns[f"extra/{EXPERT_CHOSE}"] = MemoryColumn(np.concatenate(marks))

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of all columns except the frames."""
        return tuple(self._columns)

    def column(self, name: str) -> MemoryColumn:
        """Find a column by name.

        Raises:
            ValueError: The name is not in `column_names`.
        """
        if name not in self._columns:
            raise ValueError(f"{self.path} has no column {name!r}: it has {', '.join(self._columns)}.")
        return self._columns[name]

    @property
    def action(self) -> MemoryColumn:
        """Actions in their stored form."""
        return self.column("action")

    @cached_property
    def acted(self) -> np.ndarray:
        """Whether each row has a known action, (N,) bool."""
        return are_actions(self.action.whole()) if self.with_actions else np.zeros(self.rows, bool)

    @cached_property
    def digest(self) -> str:
        """Hash of the frames and their segments; it is computed once, from all frames."""
        hasher = hashlib.sha256(f"{self.level} {self.split} {self.frames.row}".encode())
        for array in (self.episode_table["start"], self.segments.start, self.segments.rows, self.frames[:]):
            hasher.update(np.ascontiguousarray(array).data)
        return hasher.hexdigest()
