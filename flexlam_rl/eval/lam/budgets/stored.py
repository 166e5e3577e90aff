"""k* of rollouts, with what it may depend on: detail and change of the frames, speed of the camera, rewards.

Legend: `N` transitions.
"""

from dataclasses import dataclass

import numpy as np

from flexlam_rl.datasets.schema import UNKNOWN_NATIVE
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.eval.lam.budgets.figures import change, detail
from flexlam_rl.utils.pictures import evenly


@dataclass(frozen=True)
class Shown:
    """Transitions with their k*, features, events and frames.

    Attributes:
        found: k*, whether the tolerance was met, and the number of evaluations, (N, 3).
        features: Numbers (N,) by name.
        events: Bool (N,) by name.
        frames, after: Frames before and after each transition, uint8 (N, H, W, C).
    """

    found: np.ndarray
    features: dict[str, np.ndarray]
    events: dict[str, np.ndarray]
    frames: np.ndarray
    after: np.ndarray


def shown(store: RolloutStore, found: np.ndarray, most: int) -> Shown:
    """Read up to `most` transitions of a store, spread evenly over it.

    Args:
        store: The rollouts.
        found: Result of the search for all rows of the store, (rows, 3), with k* = 0 where there is no transition.
        most: Largest number of transitions.
    """
    every = np.flatnonzero(found[:, 0])
    rows = every[evenly(most, len(every))]
    frames, after = store.frames[rows], store.frames[rows + 1]
    features = {"detail": detail(after), "change": change(frames, after)}
    if store.with_actions and store.actions is None:
        native = store.action_native[rows].astype(np.float64)
        native[native[:, 0] == UNKNOWN_NATIVE] = np.nan
        features["camera"] = np.abs(native[:, :2]).sum(1)  # DeepMind Lab's look, in its own pixels per frame
    events = {}
    if "reward" in store.column_names:
        reward = np.asarray(store.reward[rows])
        events = {"reward": reward > 0, "punishment": reward < 0}
    return Shown(found[rows], features, events, frames, after)


def joined(parts: list[Shown]) -> Shown:
    """Join the transitions of several episodes."""

    def all_of(name: str) -> dict[str, np.ndarray]:
        return {key: np.concatenate([getattr(part, name)[key] for part in parts]) for key in getattr(parts[0], name)}

    found, frames, after = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("found", "frames", "after")
    )
    return Shown(found, all_of("features"), all_of("events"), frames, after)
