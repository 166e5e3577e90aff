"""Action spaces of rollouts, and labeled actions as models take them."""

from dataclasses import replace
from typing import Any

import numpy as np

from flexlam_rl.datasets import Rollouts, TransitionPairs
from flexlam_rl.datasets.labels import LabelSet
from flexlam_rl.envs.action_values import check_stored, model_actions
from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.utils.errors import StoreError

Labels = dict[str, np.ndarray[Any, Any]]
"""Labeled transitions: "obs", "next_obs" uint8 (B, H, W, C); "action", "previous" (B, dims), int64 from 0, or float32
in [-1, 1]. At the start of an episode, "previous" is -1 in discrete dimensions and NaN in continuous ones.
"""


def action_spec(rollouts: Rollouts) -> ActionSpec:
    """Find the action space of rollouts; stores without actions (video only) are ignored.

    Raises:
        StoreError: No store has actions.
        ValueError: Stores have different action spaces, or DeepMind Lab's native one.
    """
    from flexlam_rl.envs.domains.dmlab.actions import action_set

    origins = [store.origin for store in rollouts.stores if store.with_actions]
    if not origins:
        raise StoreError(f"{rollouts.stores[0].path} has no actions: labels need rollouts written with them.")
    names = {origin.action_set for origin in origins}
    if len(names) != 1:
        raise ValueError(f"the rollouts have the action sets {sorted(map(str, names))}; expected one.")
    if any(origin.actions != origins[0].actions for origin in origins):
        raise ValueError(f"the rollouts have several action spaces under the name {origins[0].action_set!r}.")
    if origins[0].actions is not None:
        return replace(origins[0].actions, name=origins[0].action_set, hash=origins[0].action_hash)
    actions = action_set(names.pop())
    if not actions.is_discrete:
        raise ValueError(f"the rollouts have the action set {actions.name!r}; training needs a discrete one.")
    return ActionSpec((len(actions),), 0, actions.name, actions.hash)


def labelled_spec(rollouts: Rollouts, labels: LabelSet) -> ActionSpec:
    """Find the action space of rollouts for a model that learns actions from labels.

    If a continuous dimension has no bound, the smallest or largest of the labeled actions takes its place, because
    bounds are mapped to -1 and 1; the model never chooses an action beyond.

    Raises:
        ValueError: As for `action_spec`, or a label has no action or one outside the action space.
    """
    spec = action_spec(rollouts)
    parts = []
    for store, rows in zip(rollouts.stores, labels.rows, strict=True):
        if not len(rows):
            continue
        if not store.acted[rows].all():
            raise ValueError(f"row {rows[~store.acted[rows]][0]} of {store.path} has no action, but is a label.")
        parts.append(store.action.whole()[rows])
        for row, action in zip(rows.tolist(), parts[-1], strict=True):
            check_stored(action[None], spec, f"the action of row {row} of {store.path}")
    return bounded(spec, np.concatenate(parts)) if parts else spec


def bounded(spec: ActionSpec, stored: np.ndarray) -> ActionSpec:
    """Replace missing bounds of a space by the smallest and largest of the given actions, which are as stores keep
    them.
    """
    if not spec.continuous:
        return spec
    found = stored.astype(np.float64)
    low = np.array(spec.low or (-1.0,) * spec.continuous)
    high = np.array(spec.high or (1.0,) * spec.continuous)
    least, most = np.where(np.isfinite(low), low, found.min(0)), np.where(np.isfinite(high), high, found.max(0))
    same = least >= most  # all labels are equal, so the range must be widened
    least, most = least - 0.5 * (same & ~np.isfinite(low)), most + 0.5 * (same & ~np.isfinite(high))
    return replace(spec, low=tuple(least.tolist()), high=tuple(most.tolist()))


def labelled(rollouts: Rollouts, labels: LabelSet, spec: ActionSpec) -> Labels:
    """Read all transitions of a label set into memory (it is small).

    Args:
        rollouts: The rollouts.
        labels: The label set.
        spec: The action space of the model that takes them.
    """
    pairs = TransitionPairs(rollouts, ("action", "previous_action"), labels)
    return read_labels(pairs, np.arange(len(pairs)), spec)


def read_labels(pairs: TransitionPairs, items: np.ndarray, spec: ActionSpec) -> Labels:
    """Read transitions of a sampler that has the fields "action" and "previous_action"."""
    batch = pairs.read(items)
    return {
        "obs": batch["frames"][:, 0],
        "next_obs": batch["frames"][:, 1],
        "action": model_actions(batch["action"], spec),
        "previous": model_actions(batch["previous_action"], spec),
    }
