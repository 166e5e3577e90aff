"""Checks of actions from callers, and their conversion to DeepMind Lab's seven native numbers."""

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from flexlam_rl.envs.checks import is_integer
from flexlam_rl.envs.domains.dmlab.actions import NATIVE_HIGH, NATIVE_LOW, ActionSet
from flexlam_rl.envs.errors import InvalidAction

_LOW, _HIGH = np.array(NATIVE_LOW), np.array(NATIVE_HIGH)
_RANGE = f"native7 takes 7 integers from {list(NATIVE_LOW)} to {list(NATIVE_HIGH)}."


def action_number(action: Any, actions: ActionSet) -> int:
    """Check a discrete action and return it as a Python int.

    Raises:
        InvalidAction: It is not an integer, or the set has no such action.
    """
    try:
        number = -1 if isinstance(action, bool) else index(action)
    except TypeError:
        number = -1
    if not 0 <= number < len(actions.rows):
        raise InvalidAction(
            f"Action {action!r} is outside the action space: {actions.name} has actions 0 to {len(actions.rows) - 1}."
        )
    return number


def native_action(action: Any) -> Sequence[int]:
    """Check a `native7` action and return its 7 numbers.

    Raises:
        InvalidAction: The shape is wrong, a number is not an integer, or a number is out of range.
    """
    values = np.asarray(action)
    if (
        values.shape != (7,)
        or values.dtype.kind not in "iu"
        or not all(
            low <= value <= high for value, low, high in zip(values.tolist(), NATIVE_LOW, NATIVE_HIGH, strict=True)
        )
    ):
        raise InvalidAction(f"Action {action!r} is outside the action space: {_RANGE}")
    return [int(value) for value in values]


def native_actions(given: Any, actions: ActionSet, num_envs: int) -> np.ndarray:
    """Check the actions of a batch and convert them to native ones.

    Args:
        given: (N,) discrete actions, or (N, 7) native ones.
        actions: The action set.
        num_envs: Number of environments.

    Returns:
        Native actions, (N, 7) intc.

    Raises:
        InvalidAction: An action is not in the set, or there is not one action per environment.
    """
    if isinstance(given, list | tuple) and all(map(is_integer, given)):
        given = [int(action) for action in given]  # NumPy would turn a mixture of its integer types into floats
    try:
        array = np.asarray(given)
    except ValueError:
        raise InvalidAction(f"actions must be an array of integers, got {given!r}.") from None
    count = len(actions)
    if array.dtype.kind not in "iu":
        raise InvalidAction(f"actions must be integers, got an array of {array.dtype}.")
    if count:
        if array.shape != (num_envs,):
            raise InvalidAction(f"actions must have shape ({num_envs},), got {array.shape}.")
        if array.min() < 0 or array.max() >= count:
            bad = array[(array < 0) | (array >= count)][0]
            raise InvalidAction(
                f"Action {bad} is outside the action space: {actions.name} has actions 0 to {count - 1}."
            )
        return actions.table[array]
    if array.shape != (num_envs, 7):
        raise InvalidAction(f"actions must have shape ({num_envs}, 7), got {array.shape}.")
    if (array < _LOW).any() or (array > _HIGH).any():
        raise InvalidAction(f"An action is outside the action space: {_RANGE}")
    return np.ascontiguousarray(array, dtype=np.intc)
