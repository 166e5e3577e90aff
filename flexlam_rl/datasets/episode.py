"""`Episode`: one episode in memory, as writers accept it and readers return it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from flexlam_rl.datasets.codecs import crc32c
from flexlam_rl.envs.action_values import check_stored, stored_type
from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.utils.numbers import as_array, exact, flag, int64

REWARD_ADVICE = ", a store whose writer was made with reward='float64' holds more"


@dataclass
class Episode:
    """One episode, or a piece of one.

    Numbers may have any type, as long as the store's type holds each of them exactly.

    Legend: `T` actions; `R` rows, T + 1 with an observation after the last action, else T.

    Attributes:
        frames: (R, H, W, C) uint8; row t is the view before action t.
        action: For DeepMind Lab, (T,) row numbers of the action table; None for native actions only, or for video
            without actions. In other worlds, choices (T,) or (T, D), or continuous actions (T, D), in the stored form
            (`envs.action_values.stored_actions` makes it).
        action_native: (T, 7) native actions; None to take them from the table.
        reward: (T,) finite; row t is the reward for action t. None for video without rewards.
        terminated, truncated: How the last action ended the episode. If both are false, the recording was cut.
        restart: (R,) bool, True where the map restarted just before this frame; None if it never did.
        instruction: One text for all rows, or one per row.
        seed: Episode seed; -1 if unknown.
        key: Number of the episode in its collection's plan; -1 for none. A store accepts each key once.
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
        """Number of actions; in video without actions, the number of steps between frames."""
        for column in (self.action, self.action_native, self.reward):
            if column is not None:
                return len(column)
        return self.rows - 1

    @property
    def has_last(self) -> bool:
        """Whether there is an observation after the last action."""
        return self.rows == self.length + 1

    def check(self) -> None:
        """Check shapes, types and values, as a writer does.

        Raises:
            ValueError: A part of the episode is wrong; the message names it and its value.
        """
        self.checked()

    def checked(self, reward: str = "float32", actions: ActionSpec | None = None) -> "Episode":
        """Convert the episode to the store's types, in new arrays, without changing any number.

        Args:
            reward: Type of the store's rewards.
            actions: Description of the store's actions; None for DeepMind Lab's.

        Raises:
            ValueError: A part of the episode is wrong or would change; the message names it and its value.
        """
        frames = as_array(self.frames, "The frames of an episode")
        check_pictures(frames)
        given = {
            "action": ("int16", ()) if actions is None else stored_type(actions),
            "action_native": ("int16", (7,)),
            "reward": (reward, ()),
            "restart": ("bool", ()),
        }
        columns = {
            name: as_array(getattr(self, name), f"Column {name} of an episode")
            for name in given
            if getattr(self, name) is not None
        }
        lengths = [len(column) for name, column in columns.items() if name != "restart" and column.ndim]
        rows, length = len(frames), lengths[0] if lengths else len(frames) - 1
        if rows not in (length, length + 1) or length < 1:
            raise ValueError(
                f"An episode of {length} actions has {rows} frames: expected at least one action, and as many frames "
                "or one more."
            )
        for name, column in columns.items():
            shape = (rows if name == "restart" else length, *given[name][1])
            if column.shape != shape:
                raise ValueError(f"Column {name} of an episode has shape {column.shape}: expected {shape}.")
            advice = REWARD_ADVICE if name == "reward" else ""
            columns[name] = exact(column, given[name][0], f"Column {name} of an episode", advice)
        if actions is not None:
            if self.action_native is not None:
                raise ValueError("An episode has action_native, but its store is not of DeepMind Lab: expected None.")
            if "action" in columns:
                check_stored(columns["action"], actions, "Column action of an episode")
        elif "action" in columns and columns["action"].min() < 0:
            step = int(np.argmin(columns["action"]))
            raise ValueError(
                f"Column action of an episode is {columns['action'][step]} at {step}: expected numbers of actions, "
                "0 or more."
            )
        if "reward" in columns and not np.isfinite(columns["reward"]).all():
            step = int(np.argmin(np.isfinite(columns["reward"])))
            raise ValueError(
                f"Column reward of an episode is {columns['reward'][step]} at {step}: expected finite numbers."
            )
        texts = [self.instruction] if isinstance(self.instruction, str) else list(self.instruction)
        wrong = [text for text in texts if not isinstance(text, str)]
        if wrong:
            raise ValueError(f"An instruction of an episode is {wrong[0]!r}: expected a text.")
        if not isinstance(self.instruction, str) and len(texts) != rows:
            raise ValueError(
                f"An episode of {rows} rows has {len(texts)} instructions: expected one text, or one per row."
            )
        extra = {name: as_array(column, f"Extra column {name}") for name, column in self.extra.items()}
        for name, column in extra.items():
            if len(np.atleast_1d(column)) != rows:
                raise ValueError(f"Extra column {name} has {len(np.atleast_1d(column))} rows: expected {rows}.")
        return Episode(
            frames=np.array(frames),
            terminated=flag(self.terminated, "`terminated` of an episode"),
            truncated=flag(self.truncated, "`truncated` of an episode"),
            instruction=str(self.instruction) if isinstance(self.instruction, str) else list(map(str, texts)),
            seed=int64(self.seed, "The seed of an episode"),
            key=int64(self.key, "The key of an episode", low=-1),
            extra={name: np.array(column) for name, column in extra.items()},
            **columns,
        )


def check_pictures(frames: np.ndarray) -> None:
    """Check that an array is a sequence of pictures, (R, H, W, C) uint8.

    Raises:
        ValueError: The type or shape is wrong, or the channels come before height and width.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or not frames.size:
        raise ValueError(
            f"Frames of an episode are {frames.dtype} {frames.shape}: expected uint8 (rows, height, width, channels), "
            "at least one row."
        )
    if is_planar(frames.shape[1:]):
        raise ValueError(
            f"Frames of an episode have the shape {frames.shape}: expected (rows, height, width, channels), the "
            "channels last."
        )


def is_planar(shape: tuple[int, ...]) -> bool:
    """Whether a picture of this shape seems to have its channels first: the last axis is longer than the first, and
    longer than 4.
    """
    return shape[2] > 4 and shape[0] < shape[2]


def native_actions(action: np.ndarray, table: Sequence[Sequence[int]], name: str) -> np.ndarray:
    """Look up the native actions (T, 7) of discrete ones.

    Args:
        action: (T,) row numbers of the table.
        table: (n, 7) native actions.
        name: Name of the action set, for errors.

    Raises:
        ValueError: The table has no row for an action.
    """
    rows = np.array(table, np.int16).reshape(-1, 7)
    bad = action[(action < 0) | (action >= len(rows))]
    if bad.size:
        raise ValueError(f"Action {bad[0]} is not in the action set {name!r}: it has actions 0 to {len(rows) - 1}.")
    return rows[action]


def checksum(frames: np.ndarray, *columns: np.ndarray) -> int:
    """CRC-32C of the frames followed by each column, in their stored form."""
    value = crc32c(np.ascontiguousarray(frames).tobytes())
    for column in columns:
        value = crc32c(np.ascontiguousarray(column).tobytes(), value)
    return value
