"""One episode in memory: what the writer takes and the reader gives."""

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
    """One episode, or a cut piece of one. Legend: `T` actions, `R` rows, R = T + 1 with a last observation, else R = T.

    Attributes:
        frames: (R, H, W, C) uint8; row t is seen before action t.
        action: (T,) rows of the action table, None for native actions only or for action-free video. In other worlds
            (T,) choices, or (T, D) choices or continuous actions, as a store keeps them
            (`envs.action_values.stored_actions` makes them of an environment's own).
        action_native: (T, 7) native actions, None to take them from the table.
        reward: (T,) finite, brought by action t; None for video without rewards.
        terminated, truncated: How the last action ended the episode. Both false: the recording was cut.
        restart: (R,) bool, the map restarted before this frame; None for nowhere.
        instruction: One text for all rows, or one a row.
        seed: Episode seed, -1 when unknown.
        key: Number of the episode in its collection's plan, -1 for none. A store takes a key once.
        extra: Further columns, (R, ...) each.

    Numbers may be of any type that the store's types hold exactly.
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
        """Check shapes, types and values, as a writer does.

        Raises:
            ValueError: What does not fit, with its value.
        """
        self.checked()

    def checked(self, reward: str = "float32", actions: ActionSpec | None = None) -> "Episode":
        """Give the episode as a store holds it: fresh arrays of the store's types, every number as it was.

        Args:
            reward: Type of the store's rewards.
            actions: What the store's actions are of, None for DeepMind Lab's.

        Raises:
            ValueError: What does not fit, or would change, with its value.
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
                raise ValueError("An episode has native actions of DeepMind Lab, which its store does not hold.")
            if "action" in columns:
                check_stored(columns["action"], actions, "Column action of an episode")
        elif "action" in columns and columns["action"].min() < 0:
            step = int(np.argmin(columns["action"]))
            raise ValueError(
                f"Column action of an episode is {columns['action'][step]} at {step}: expected numbers of actions, "
                "from 0."
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
                f"An episode of {rows} rows has {len(texts)} instructions: expected one text, or one a row."
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
    """Check that an array is a run of pictures.

    Raises:
        ValueError: It has another type or shape, or its channels stand before height and width.
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
    """Whether a picture of this shape has its channels first: more of the last axis than of the first, and more than
    colours.
    """
    return shape[2] > 4 and shape[0] < shape[2]


def native_actions(action: np.ndarray, table: Sequence[Sequence[int]], name: str) -> np.ndarray:
    """Native actions (T, 7) of discrete ones.

    Raises:
        ValueError: An action that the table has no row for.
    """
    rows = np.array(table, np.int16).reshape(-1, 7)
    bad = action[(action < 0) | (action >= len(rows))]
    if bad.size:
        raise ValueError(f"Action {bad[0]} is not in the action set {name!r}: it has actions 0 to {len(rows) - 1}.")
    return rows[action]


def checksum(frames: np.ndarray, *columns: np.ndarray) -> int:
    """CRC-32C of the frames and then of each column, as they are stored."""
    value = crc32c(np.ascontiguousarray(frames).tobytes())
    for column in columns:
        value = crc32c(np.ascontiguousarray(column).tobytes(), value)
    return value
