"""What a latent action policy remembers of each environment, in chunks of rows that are computed together.

The last bit of a number can depend on the number of rows of a matrix product (measured on x86: products of fewer than
16 rows differ from larger ones). With a fixed chunk size, an environment's numbers do not depend on how many others
play beside it; unused rows are padding.

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
    """The prior's history, in the form that its decoder uses."""
    frames: Tensor
    """uint8 (R, C, H, W): the last frames."""
    previous: Tensor
    """(R, A): the last actions in the form that models use; -1 or NaN, for none, at an episode's start."""


@dataclass
class PolicyState:
    """The history of n environments. It is advanced in place: pass on the state that `predict` returned, and use it
    only once.
    """

    chunks: list[Chunk]
    playing: np.ndarray = field(default_factory=lambda: np.zeros(0, np.bool_))
    """(n,) bool: False where the environment's actions are no longer wanted."""
    restarted: np.ndarray = field(default_factory=lambda: np.zeros(0, np.bool_))
    """(n,) bool: whether the map has restarted before the next frame."""
    made_for: tuple[Any, ...] = ()
    """Facts that must be equal in the policy that advances the history, such as its models and device."""
    spent: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """(n,) int64: codes that each environment has spent in its present episode."""
    remembered: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """(n,) int64: codes of past blocks that were kept in its present episode; 0 where blocks are kept whole."""

    @in_own_modes
    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy the history so that a policy can continue from it, even if it was made in inference mode."""
        return type(self)(**{part.name: copy.deepcopy(getattr(self, part.name), memo) for part in fields(self)})

    @property
    def rows(self) -> int:
        """Number of environments, n."""
        return len(self.playing)


def check_state(state: Any, rows: int, made_for: tuple[Any, ...]) -> None:
    """Refuse a state that a policy cannot continue from.

    Args:
        state: What was given as the state.
        rows: Number of environments that there are observations of.
        made_for: The policy's facts, as for `PolicyState.made_for`.

    Raises:
        ValueError: It is the state of another batch or policy, or not a state.
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
    """Make an empty history.

    Args:
        decoder: Decoder of the prior.
        rows: Number of environments, n.
        chunk: Number of rows that are computed together, R; None for all rows.
        frame: Shape of a frame, (C, H, W).
        actions: Space of the actions.
        made_for: The policy's facts, as for `PolicyState.made_for`.
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
    counts = np.zeros((2, rows), np.int64)
    return PolicyState(chunks, np.ones(rows, np.bool_), np.zeros(rows, np.bool_), made_for, counts[0], counts[1])
