"""One episode in memory: what the writer takes and the reader gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import google_crc32c
import numpy as np


@dataclass
class Episode:
    """One episode, or a cut piece of one. Legend: `T` actions, `R` rows, R = T + 1 with a last observation, else R = T.

    Attributes:
        frames: (R, H, W, C) uint8; row t is seen before action t.
        action: (T,) rows of the action table, None for native actions only or for action-free video.
        action_native: (T, 7) native actions, None to take them from the table.
        reward: (T,) brought by action t; None for video without rewards.
        terminated, truncated: How the last action ended the episode. Both false: the recording was cut.
        restart: (R,) bool, the map restarted before this frame; None for nowhere.
        instruction: One text for all rows, or one a row.
        seed: Episode seed, -1 when unknown.
        key: Number of the episode in its collection's plan, -1 for none. A store takes a key once.
        extra: Further columns, (R, ...) each.
    """

    frames: np.ndarray
    action: np.ndarray | None = None
    reward: np.ndarray | None = None
    action_native: np.ndarray | None = None
    terminated: bool = False
    truncated: bool = False
    restart: np.ndarray | None = None
    instruction: str | Sequence[str] = ""
    seed: int = -1
    key: int = -1
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of frames."""
        return len(self.frames)

    @property
    def length(self) -> int:
        """Number of actions; action-free video counts the steps between its frames."""
        for column in (self.action, self.action_native, self.reward):
            if column is not None:
                return len(column)
        return self.rows - 1

    @property
    def has_last(self) -> bool:
        """Whether the observation after the last action exists."""
        return self.rows == self.length + 1

    def check(self) -> None:
        """Check shapes and types.

        Raises:
            ValueError: What does not fit, with its value.
        """
        if self.frames.dtype != np.uint8 or self.frames.ndim != 4 or not len(self.frames):
            raise ValueError(
                f"Frames of an episode are {self.frames.dtype} {self.frames.shape}: expected uint8 (rows, height, width, channels), at least one row."
            )
        length = self.length
        if self.rows not in (length, length + 1) or length < 1:
            raise ValueError(f"An episode of {length} actions has {self.rows} frames: expected at least one action, and as many frames or one more.")
        for name, shape in (("action", (length,)), ("action_native", (length, 7)), ("reward", (length,)), ("restart", (self.rows,))):
            column = getattr(self, name)
            if column is not None and np.shape(column) != shape:
                raise ValueError(f"Column {name} of an episode has shape {np.shape(column)}: expected {shape}.")
        if not isinstance(self.instruction, str) and len(self.instruction) != self.rows:
            raise ValueError(f"An episode of {self.rows} rows has {len(self.instruction)} instructions: expected one text, or one a row.")
        for name, column in self.extra.items():
            if len(column) != self.rows:
                raise ValueError(f"Extra column {name} has {len(column)} rows: expected {self.rows}.")


def native_actions(action: np.ndarray, table: Sequence[Sequence[int]], name: str) -> np.ndarray:
    """Native actions (T, 7) of discrete ones.

    Raises:
        ValueError: An action that the table has no row for.
    """
    rows = np.asarray(table, np.int16).reshape(-1, 7)
    if action.size and not (action.min() >= 0 and action.max() < len(rows)):
        bad = action[(action < 0) | (action >= len(rows))][0]
        raise ValueError(f"Action {bad} is not in the action set {name!r}: it has actions 0 to {len(rows) - 1}.")
    return rows[action]


def checksum(frames: np.ndarray, *columns: np.ndarray) -> int:
    """CRC-32C of the frames and then of each column, as they are stored."""
    value = int(google_crc32c.value(np.ascontiguousarray(frames).tobytes()))
    for column in columns:
        value = int(google_crc32c.extend(value, np.ascontiguousarray(column).tobytes()))
    return value
