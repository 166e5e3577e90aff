"""What an imagined environment's actions are, and what its world model is told of them.

    codes      the first K codes of a latent action: `MultiDiscrete([V] * K)`, as of `LatentActionSpace`
    actions    the environment's own: `Discrete(A)`; a model that is told codes gets those that its labels say

Shapes: n rows, T frames, M slots, K budget, V codes, d numbers per slot, A actions, C H W frame.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from flexlam_rl.envs.errors import InvalidAction
from flexlam_rl.models.interfaces import Conditions
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.modes import in_own_modes


class Controls(ABC):
    """Actions of n rows to what a world model is told.

    Attributes:
        space: Of one action.
    """

    space: spaces.Discrete | spaces.MultiDiscrete

    @abstractmethod
    def told(self, actions: np.ndarray) -> Tensor:
        """Give what actions (n, ...) that were checked tell the model, (n, ...)."""

    @abstractmethod
    def past(self, frames: Tensor, actions: np.ndarray | None) -> Tensor | None:
        """Give what led from frame to frame of a context, (n, T - 1, ...); None where it is not known.

        Args:
            frames: uint8 (n, T, C, H, W).
            actions: The environment's own, (n, T - 1); None where they are not known.
        """

    def checked(self, actions: Any, rows: int) -> np.ndarray:
        """Give actions of a batch, (rows, ...) int64.

        Raises:
            InvalidAction: Another shape or type, or one outside the space.
        """
        shape = () if isinstance(self.space, spaces.Discrete) else self.space.shape
        high = self.space.n if isinstance(self.space, spaces.Discrete) else self.space.nvec
        try:
            given = np.asarray(actions)
        except (ValueError, TypeError):  # rows of different lengths
            given = np.empty(0, object)
        if given.shape != (rows, *shape) or given.dtype.kind not in "iu":
            raise InvalidAction(
                f"Actions have shape {given.shape} and type {given.dtype}; expected integers of shape {(rows, *shape)}."
            )
        outside = (given < 0) | (given >= high)
        if outside.any():
            raise InvalidAction(f"An action holds {given[outside].flat[0]}; expected numbers of {self.space}.")
        return given.astype(np.int64)


class LatentControls(Controls):
    """The first K codes of a latent action.

    Args:
        conditions: Of the model.
        lam: Whose codes they are; None where the model itself is told codes and looks at the newest frame alone.
        budget: K; None for as many as the model is told, or can be.

    Raises:
        ValueError: The model is told something else, the latent actions are no codes, or the budget does not fit.
    """

    def __init__(self, conditions: Conditions, lam: SlotModel | None, budget: int | None) -> None:
        self.kind, self.lam = conditions.kind, lam
        spec = None if lam is None else lam.latent
        if conditions.kind == "vectors":
            if spec is None:
                raise ValueError("lam is None; this model is told vectors of latent actions: name whose with lam=PATH.")
            wanted, rest = divmod(conditions.count, spec.dim)
            if rest or wanted > spec.slots:
                raise ValueError(
                    f"The model is told {conditions.count} numbers; the latent actions of lam have up to {spec.slots} "
                    f"slots of {spec.dim}."
                )
            codes, lowest, highest = spec.codes, wanted, wanted
        elif conditions.kind == "codes":
            codes, highest = conditions.count, conditions.slots
            lowest = 1 if conditions.prefix else highest
        else:
            raise ValueError(f"This model is told {conditions.kind}; latent actions need one that is told codes.")
        if codes is None:
            raise ValueError("The latent actions are vectors of numbers; an environment's actions need codes.")
        self.budget = highest if budget is None else budget
        if isinstance(self.budget, bool) or not isinstance(self.budget, int | np.integer):
            raise ValueError(f"budget is {budget!r}; expected a whole number from {lowest} to {highest}, or None.")
        if not lowest <= self.budget <= highest:
            wanted_budget = str(highest) if lowest == highest else f"{lowest}..{highest}"
            raise ValueError(f"budget is {budget}; expected {wanted_budget}, of which the model is told.")
        self.space = spaces.MultiDiscrete([codes] * int(self.budget))

    @in_own_modes
    def told(self, actions: np.ndarray) -> Tensor:
        """Give codes as they are, or the vectors of their slots, (n, K d)."""
        return self._as_told(torch.from_numpy(actions))

    @in_own_modes
    def past(self, frames: Tensor, actions: np.ndarray | None) -> Tensor | None:
        """Encode what led from frame to frame."""
        steps = frames.shape[1] - 1
        if self.lam is None or not steps:
            return None
        flat = frames[:, :-1].flatten(0, 1), frames[:, 1:].flatten(0, 1)
        codes = self.lam.encode(*flat)[:, : self.budget]
        return self._as_told(codes).unflatten(0, (len(frames), steps))

    def _as_told(self, codes: Tensor) -> Tensor:
        if self.kind == "codes":
            return codes
        assert self.lam is not None
        codes = codes.to(self.lam.null.device)
        return self.lam.keep_prefix(codes, int(self.budget))[:, : self.budget].flatten(1)


class ActionControls(Controls):
    """The environment's own actions, of which the model is told.

    Args:
        count: A.
    """

    def __init__(self, count: int) -> None:
        self.space = spaces.Discrete(count)

    def told(self, actions: np.ndarray) -> Tensor:
        """Give the actions."""
        return torch.from_numpy(actions)

    def past(self, frames: Tensor, actions: np.ndarray | None) -> Tensor | None:
        """Give the actions."""
        return None if actions is None else torch.from_numpy(actions.astype(np.int64))


class LabelledControls(Controls):
    """The environment's own actions, each as the codes that labelled transitions have most often.

    Args:
        latent: What the model is told.
        codes: (A, K), as `action_codes` finds them.
    """

    def __init__(self, latent: LatentControls, codes: np.ndarray) -> None:
        self.latent, self.codes = latent, codes
        self.space = spaces.Discrete(len(codes))

    def told(self, actions: np.ndarray) -> Tensor:
        """Give the actions' codes."""
        return self.latent.told(self.codes[actions])

    def past(self, frames: Tensor, actions: np.ndarray | None) -> Tensor | None:
        """Encode what led from frame to frame."""
        return self.latent.past(frames, actions)


@in_own_modes
def action_codes(lam: SlotModel, rollouts: Any, budget: int, labels: int = 2048) -> np.ndarray:
    """Find the codes (A, K) that transitions of each action have most often, slot by slot: the most frequent first
    code, among the transitions that have it the most frequent second one, and so on.

    Args:
        lam: The latent action model.
        rollouts: Whose transitions, with actions that are single numbers.
        budget: K.
        labels: Transitions that are read, evenly spread.

    Raises:
        ValueError: There are no such actions, or one of them occurs in no transition that was read.
    """
    from flexlam_rl.datasets import TransitionPairs

    if not all(store.with_actions and store.action.dtype.kind in "iu" for store in rollouts.stores):
        raise ValueError("actions is 'native', but the rollouts of starts hold no actions that are single numbers.")
    pairs = TransitionPairs(rollouts, ("action",))
    items = np.unique(np.linspace(0, len(pairs) - 1, min(labels, len(pairs))).astype(np.int64))
    found, given = [], []
    for part in np.array_split(items, -(-len(items) // 64)):
        read = pairs.read(part)
        frames = torch.from_numpy(read["frames"]).movedim(-1, -3)
        found.append(lam.encode(frames[:, 0], frames[:, 1])[:, :budget].cpu().numpy())
        given.append(read["action"])
    codes, actions = np.concatenate(found), np.concatenate(given)
    if actions.ndim != 1:
        raise ValueError("actions is 'native', but the rollouts of starts hold no actions that are single numbers.")
    table = []
    for action in range(max(int(actions.max()) + 1, len(rollouts.stores[0].origin.action_table))):
        rows = codes[actions == action]
        if not len(rows):
            raise ValueError(f"Action {action} occurs in none of the {len(items)} transitions read; give more labels.")
        for slot in range(budget):
            values, counts = np.unique(rows[:, slot], return_counts=True)
            rows = rows[rows[:, slot] == values[counts.argmax()]]
        table.append(rows[0])
    return np.stack(table)
