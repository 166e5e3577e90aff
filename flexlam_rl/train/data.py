"""Batches of the stages from rollouts on disk."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.datasets import Rollouts, TransitionPairs, Windows
from flexlam_rl.datasets.labels import LabelSet
from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.train.source import to_device

Labels = dict[str, np.ndarray[Any, Any]]
"""Labelled transitions: "obs", "next_obs" uint8 (B, H, W, C); "action", "previous" (B, dims), -1 at an episode's
start.
"""


class PairSource:
    """Transitions as "obs" and "next_obs"."""

    def __init__(
        self, rollouts: Rollouts, batch: int, seed: int, rank: int = 0, ranks: int = 1, cache: str | Path | None = None
    ) -> None:
        self.batches = TransitionPairs(rollouts, cache=cache).batches(batch, seed=seed, rank=rank, world_size=ranks)

    def next(self) -> dict[str, np.ndarray[Any, Any]]:
        frames = next(self.batches)["frames"]
        return {"obs": frames[:, 0], "next_obs": frames[:, 1]}

    def state_dict(self) -> dict[str, Any]:
        return self.batches.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.batches.load_state_dict(state)


class CurriculumSource:
    """Windows of frames: short ones for the first steps, then whole contexts with half the batch (paper, table 8)."""

    def __init__(
        self,
        rollouts: Rollouts,
        batch: int,
        short: int,
        long: int,
        short_steps: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.short_steps, self.step = short_steps, 0
        self.parts = [
            Windows(rollouts, length).batches(size, seed=seed + i, rank=rank, world_size=ranks)
            for i, (length, size) in enumerate(((short, batch), (long, max(1, batch // 2))))
        ]

    def next(self) -> dict[str, np.ndarray[Any, Any]]:
        part = self.parts[self.step >= self.short_steps]
        self.step += 1
        return {"frames": next(part)["frames"]}

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = int(state["step"])
        for part, saved in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(saved)


def held_out_pairs(rollouts: Rollouts, count: int, seed: int = 0) -> dict[str, Tensor]:
    """`count` transitions, uniform over the rollouts, as uint8 tensors (B, C, H, W)."""
    frames = next(TransitionPairs(rollouts).batches(count, seed=seed, workers=0))["frames"]
    return to_device({"obs": frames[:, 0], "next_obs": frames[:, 1]}, "cpu")


def held_out_windows(rollouts: Rollouts, count: int, length: int, seed: int = 0) -> Tensor:
    """`count` windows of `length` frames as a uint8 tensor (B, T, C, H, W)."""
    frames = next(Windows(rollouts, length).batches(count, seed=seed, workers=0))["frames"]
    return torch.from_numpy(frames).movedim(-1, -3).contiguous()


def labelled(rollouts: Rollouts, labels: LabelSet) -> Labels:
    """All tuples of a label set, in memory (it is small)."""
    pairs = TransitionPairs(rollouts, ("action", "previous_action"), labels)
    batch = pairs.read(np.arange(len(pairs)))
    return {
        "obs": batch["frames"][:, 0],
        "next_obs": batch["frames"][:, 1],
        "action": batch["action"].astype(np.int64)[:, None],
        "previous": batch["previous_action"].astype(np.int64)[:, None],
    }


def check_actions(rollouts: Rollouts, labels: LabelSet) -> None:
    """Check that every label has an action of the rollouts' action set; frames are not read.

    Raises:
        ValueError: One has not; the sentence names it and its store.
    """
    count = action_spec(rollouts).discrete[0]
    for store, rows in zip(rollouts.stores, labels.rows, strict=True):
        actions = store.action.whole()[rows]
        odd = (actions < 0) | (actions >= count)
        if odd.any():
            raise ValueError(
                f"row {rows[odd][0]} of {store.path} has the action {actions[odd][0]}; expected 0..{count - 1}."
            )


def action_spec(rollouts: Rollouts) -> ActionSpec:
    """The discrete action set that the rollouts were recorded with.

    Raises:
        ValueError: If there is none, or stores differ.
    """
    from flexlam_rl.envs.domains.dmlab.actions import action_set

    names = {store.origin.action_set for store in rollouts.stores}
    if len(names) != 1 or None in names:
        raise ValueError(
            f"the rollouts have the action sets {sorted(map(str, names))}; expected one, and a discrete one."
        )
    actions = action_set(names.pop())
    if not actions.is_discrete:
        raise ValueError(f"the rollouts have the action set {actions.name!r}; training needs a discrete one.")
    return ActionSpec((len(actions),), 0, actions.name, actions.hash)
