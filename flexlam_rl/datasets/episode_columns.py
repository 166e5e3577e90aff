"""Conversion of an episode to the columns of a store."""

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
    """Check an extra column and return its type and row shape in the form of a store's attributes.

    Raises:
        ValueError: The name cannot be a folder's name, or stores do not support the type or shape.
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
    """Convert a checked episode to the columns of a store.

    Args:
        episode: The episode; it has all extra columns of the store.
        origin: Origin of the store.
        extra: Types and row shapes of the extra columns.
        reward: Type of the rewards.
        with_actions: False for a store of video only.

    Returns:
        The episode without the parts that the store does not keep, and its columns by name.

    Raises:
        ValueError: The episode has actions without rewards or the reverse, or an extra column has a wrong shape.
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
                "An episode has only one of actions and rewards: expected both, neither (video), or a writer made with "
                "with_actions=False."
            )
        if episode.reward is None:
            if origin.actions is None:
                columns["action_native"][:] = UNKNOWN_NATIVE
        else:
            columns["reward"][:length] = episode.reward
        if episode.action is not None:
            # an empty table means a native action set, or imported data whose table is unknown
            if origin.action_table:
                from_table = native_actions(episode.action, origin.action_table, origin.action_set)
                native = from_table if native is None else native
            columns["action"][:length] = episode.action
        if native is not None:
            columns["action_native"][:length] = native
    if episode.restart is not None:
        columns["restart"][:] = episode.restart
    last = max(length - 1, 0)  # video of a single frame has no steps
    columns["terminated"][last] = episode.terminated
    columns["truncated"][last] = episode.truncated
    for name, (dtype, row) in extra.items():
        column = episode.extra[name]
        if column.shape != (rows, *row):
            raise ValueError(f"Extra column {name} of an episode has shape {column.shape}: expected {(rows, *row)}.")
        columns[f"extra/{name}"] = exact(column, dtype, f"Extra column {name} of an episode")
    return episode, columns
