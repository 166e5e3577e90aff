"""The actions of an imagined environment, and what its world model is told about them.

    codes      the first K codes of a latent action: `MultiDiscrete([V] * K)`, as in `LatentActionSpace`
    actions    the environment's own: `Discrete(A)`; a model of codes is told the codes that labels have for an action

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
    """Converts the actions of n rows to what a world model is told.

    Attributes:
        space: Space of one action.
    """

    space: spaces.Discrete | spaces.MultiDiscrete

    @abstractmethod
    def told(self, actions: np.ndarray) -> Tensor:
        """Convert checked actions (n, ...) to what the model is told, (n, ...)."""

    @abstractmethod
    def past(self, frames: Tensor, actions: np.ndarray | None) -> Tensor | None:
        """Return what the model is told about the steps between the frames of a context.

        Args:
            frames: Frames of the context, uint8 (n, T, C, H, W).
            actions: The environment's own actions, (n, T - 1); None where they are not known.

        Returns:
            What led from each frame to the next, (n, T - 1, ...); None where it is not known.
        """

    def checked(self, actions: Any, rows: int) -> np.ndarray:
        """Check the actions of a batch, and return them as int64 (rows, ...).

        Raises:
            InvalidAction: The actions have another shape or type, or one lies outside the space.
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
    """Actions that are the first K codes of a latent action.

    Args:
        conditions: What the world model is told.
        lam: Latent action model that the codes belong to; None where the world model itself is told codes and looks
            only at the newest frame.
        budget: Number of codes, K; None for the largest number that the model can be told.

    Raises:
        ValueError: The model is told something else, the latent actions have no codes, or the budget does not fit.
    """

    def __init__(self, conditions: Conditions, lam: SlotModel | None, budget: int | None) -> None:
        self.kind, self.lam = conditions.kind, lam
        spec = None if lam is None else lam.latent
        if conditions.kind == "vectors":
            if spec is None:
                raise ValueError("lam is None; this model is told latent actions: name their model with lam=PATH.")
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
            raise ValueError(f"budget is {budget}; expected {wanted_budget}, which the model can be told.")
        self.space = spaces.MultiDiscrete([codes] * int(self.budget))

    @in_own_modes
    def told(self, actions: np.ndarray) -> Tensor:
        """Return the codes themselves, or the vectors of their slots, (n, K d)."""
        return self._as_told(torch.from_numpy(actions))

    @in_own_modes
    def past(self, frames: Tensor, actions: np.ndarray | None) -> Tensor | None:
        """Encode the transitions between the frames."""
        steps = frames.shape[1] - 1
        if self.lam is None or not steps:
            return None
        frames = frames.to(self.lam.null.device)
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
    """The environment's own actions, for a model that is told actions.

    Args:
        count: Number of actions, A.
    """

    def __init__(self, count: int) -> None:
        self.space = spaces.Discrete(count)

    def told(self, actions: np.ndarray) -> Tensor:
        """Return the actions as a tensor."""
        return torch.from_numpy(actions)

    def past(self, frames: Tensor, actions: np.ndarray | None) -> Tensor | None:
        """Return the actions as a tensor."""
        return None if actions is None else torch.from_numpy(actions.astype(np.int64))


class LabelledControls(Controls):
    """The environment's own actions, for a model that is told codes: each stands for its most frequent codes.

    Args:
        latent: Controls that tell the model codes.
        codes: Codes of each action, (A, K), as `action_codes` finds them.
    """

    def __init__(self, latent: LatentControls, codes: np.ndarray) -> None:
        self.latent, self.codes = latent, codes
        self.space = spaces.Discrete(len(codes))

    def told(self, actions: np.ndarray) -> Tensor:
        """Convert actions to what the model is told about their codes."""
        return self.latent.told(self.codes[actions])

    def past(self, frames: Tensor, actions: np.ndarray | None) -> Tensor | None:
        """Encode the transitions between the frames."""
        return self.latent.past(frames, actions)


@in_own_modes
def action_codes(lam: SlotModel, rollouts: Any, budget: int, labels: int = 2048) -> np.ndarray:
    """Find the most frequent codes of each action's transitions.

    They are found slot by slot: the most frequent first code, then the most frequent second code among the transitions
    with that first code, and so on.

    Args:
        lam: The latent action model.
        rollouts: Rollouts to read transitions from, with actions that are single numbers.
        budget: Number of codes, K.
        labels: Number of transitions to read, evenly spread.

    Returns:
        The codes, (A, K).

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
