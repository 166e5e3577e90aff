"""What a latent action policy remembers of each environment, in chunks of rows that are computed together.

A number's last bit can depend on how many rows a matrix product has (measured on x86: products of fewer than 16 rows
differ from larger ones). With a fixed chunk, an environment's numbers are the same however many others play beside it;
unused rows are filled up.

Legend: `n` environments, `R` rows of a chunk, `C H W` frame, `A` dimensions of an action.
"""

import copy
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.models.flexlam.priors import PriorDecoder
from flexlam_rl.nn.action_head import no_action
from flexlam_rl.nn.modes import in_own_modes


@dataclass
class Chunk:
    """Rows `first` to `first + count` of the environments; the rest of its R rows are padding."""

    first: int
    count: int
    decode: Any
    """The prior's history, as its decoder made it."""
    frames: Tensor
    """uint8 (R, C, H, W): the last frames."""
    previous: Tensor
    """(R, A): the last actions as models have them; none (-1, or NaN) at an episode's start."""


@dataclass
class PolicyState:
    """The history of n environments. It is advanced in place: keep the one that `predict` returns, and do not use it
    twice.
    """

    chunks: list[Chunk]
    playing: np.ndarray = field(default_factory=lambda: np.zeros(0, np.bool_))
    """(n,) bool: false where the environment's actions are not wanted any more."""
    restarted: np.ndarray = field(default_factory=lambda: np.zeros(0, np.bool_))
    """(n,) bool: the map has restarted before the next frame."""
    made_for: tuple[Any, ...] = ()
    """What the policy must be that advances it."""
    spent: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """(n,) int64: codes that each environment has spent in its present episode."""

    @in_own_modes
    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy that a policy can go on from, also where it was made in inference mode."""
        return type(self)(**{part.name: copy.deepcopy(getattr(self, part.name), memo) for part in fields(self)})

    @property
    def rows(self) -> int:
        """n."""
        return len(self.playing)


def check_state(state: Any, rows: int, made_for: tuple[Any, ...]) -> None:
    """Refuse a state that a policy cannot go on from.

    Args:
        state: What was given.
        rows: Environments that there are observations of.
        made_for: See `PolicyState`.

    Raises:
        ValueError: It is of another batch or policy, or no state at all.
    """
    if not isinstance(state, PolicyState):
        raise ValueError(
            f"state is a {type(state).__name__}; expected what the last call of predict returned, or None at the first."
        )
    if state.rows != rows:
        raise ValueError(
            f"There are {rows} observations, but the state is of {state.rows} environments: begin with state=None, "
            "or in a plain loop with reset()."
        )
    if state.made_for != made_for:
        made, mine = state.made_for[1:2], made_for[1]
        moved = f" (it is on {made[0]}, the policy on {mine})" if made and made[0] != mine else ""
        raise ValueError(
            f"The state is of a policy with other models or another context, cache, chunk or device{moved}: begin "
            "with state=None, or in a plain loop with reset()."
        )


def new_state(
    decoder: PriorDecoder,
    rows: int,
    chunk: int | None,
    frame: tuple[int, ...],
    actions: ActionSpec,
    made_for: tuple[Any, ...] = (),
) -> PolicyState:
    """Empty history of `rows` environments.

    Args:
        decoder: Of the prior.
        rows: n.
        chunk: R; None computes all rows together.
        frame: (C, H, W).
        actions: What actions are of.
        made_for: See `PolicyState`.
    """
    size = rows if chunk is None else chunk
    device = decoder.device
    chunks = [
        Chunk(
            first,
            min(size, rows - first),
            decoder.initial_state(size),
            torch.zeros(size, *frame, dtype=torch.uint8, device=device),
            no_action(actions, size, device),
        )
        for first in range(0, rows, size)
    ]
    return PolicyState(chunks, np.ones(rows, np.bool_), np.zeros(rows, np.bool_), made_for, np.zeros(rows, np.int64))
