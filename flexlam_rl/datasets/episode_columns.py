"""An episode as the columns of a store."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from flexlam_rl.datasets.episode import Episode, native_actions
from flexlam_rl.datasets.names import folder_name
from flexlam_rl.datasets.schema import UNKNOWN_NATIVE, Origin, step_columns
from flexlam_rl.envs.action_values import no_actions
from flexlam_rl.utils.numbers import exact, int64

Extra = Mapping[str, tuple[str, tuple[int, ...]]]


def extra_column(name: str, dtype: Any, shape: Sequence[int]) -> tuple[str, tuple[int, ...]]:
    """Give type and row shape of a further column, as its array's metadata word them.

    Raises:
        ValueError: The name is no name of a folder, or a store has no such type or shape.
    """
    folder_name(name, "extra column")
    kind = np.dtype(dtype)
    if kind.kind not in "biuf" or kind.itemsize > 8:
        raise ValueError(
            f"Extra column {name} has the type {kind}: expected a bool, a whole or a floating type of at most 64 bits."
        )
    return kind.name, tuple(int64(size, f"The shape of extra column {name}", low=1) for size in shape)


def stored_columns(
    episode: Episode, origin: Origin, extra: Extra, reward: str, with_actions: bool
) -> tuple[Episode, dict[str, np.ndarray]]:
    """Lay the columns of a checked episode out as they are stored.

    Args:
        episode: Has the extra columns of the store.
        origin: Of the store.
        extra: Types and row shapes of the extra columns.
        reward: Type of the rewards.
        with_actions: False for a store of video alone.

    Returns:
        The episode without what the store leaves out, and its columns.

    Raises:
        ValueError: It has actions without rewards or rewards without actions, or an extra column does not fit.
    """
    if not with_actions:
        episode = replace(episode, action=None, action_native=None, reward=None)
    rows, length = episode.rows, episode.length
    types = step_columns(with_actions, origin.actions, reward)
    columns = {name: np.zeros((rows, *row), dtype) for name, (dtype, row) in types.items()}
    if with_actions:
        columns["action"][:] = -1 if origin.actions is None else no_actions(origin.actions, rows)
        native = episode.action_native
        if (episode.reward is None) != (episode.action is None and native is None):
            raise ValueError(
                "An episode without actions or rewards: expected both, neither (video), or a writer made with "
                "with_actions=False."
            )
        if episode.reward is None:
            if origin.actions is None:
                columns["action_native"][:] = UNKNOWN_NATIVE
        else:
            columns["reward"][:length] = episode.reward
        if episode.action is not None:
            # a table of no rows is a native action set, or imported data whose table is unknown
            if origin.action_table:
                from_table = native_actions(episode.action, origin.action_table, origin.action_set)
                native = from_table if native is None else native
            columns["action"][:length] = episode.action
        if native is not None:
            columns["action_native"][:length] = native
    if episode.restart is not None:
        columns["restart"][:] = episode.restart
    last = max(length - 1, 0)  # video of a single frame has no step at all
    columns["terminated"][last] = episode.terminated
    columns["truncated"][last] = episode.truncated
    for name, (dtype, row) in extra.items():
        column = episode.extra[name]
        if column.shape != (rows, *row):
            raise ValueError(f"Extra column {name} of an episode has shape {column.shape}: expected {(rows, *row)}.")
        columns[f"extra/{name}"] = exact(column, dtype, f"Extra column {name} of an episode")
    return episode, columns
