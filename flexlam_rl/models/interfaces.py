"""Interfaces that systems share: the roles that agents, evaluation and training rely on.

A class has a role if it has the role's methods; it need not inherit. Shapes: `B` batch, `T` time, `M` slots, `K`
budget, `d` numbers per slot, `V` codes, `D`, `D'` widths, `C H W` frame. *Latents* are codes, int64 (B, K), if
`LatentSpec.codes` is a number, and vectors, float (B, K, d), if it is None.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from flexlam_rl.nn.streams import Streams


@dataclass(frozen=True)
class LatentSpec:
    """Structure of a latent action.

    Attributes:
        slots: M, the number of slots.
        dim: d, the numbers per slot.
        codes: V, the number of codes per slot; None if latent actions are continuous.
        prefix: Whether every prefix of the slots is a latent action; otherwise all slots are needed.
    """

    slots: int
    dim: int
    codes: int | None
    prefix: bool


@dataclass(frozen=True)
class Conditions:
    """What a world model is given about the step that leads to each frame.

    Attributes:
        kind: "codes": the first K codes of a latent action, int64 (B, horizon, K). "slots": its first K vectors, float
            (B, horizon, K, d). "vectors": its K vectors concatenated, float (B, horizon, K d). "actions": the
            environment's own, int64 (B, horizon). "nothing": None.
        count: V for codes, d for slots, K d for vectors, the number of actions for actions; 0 for nothing.
        slots: M for codes and slots, otherwise 0.
        prefix: Whether any prefix of the slots is enough; otherwise all of them are needed.
    """

    kind: Literal["codes", "slots", "vectors", "actions", "nothing"]
    count: int = 0
    slots: int = 0
    prefix: bool = False

    @property
    def unknown(self) -> float:
        """Value that stands for an unknown step."""
        return -1 if self.kind in ("codes", "actions") else 0.0


class LookBack(NamedTuple):
    """Least and largest number of past frames from which a world model predicts the next one."""

    least: int
    most: int


class StepOutput(NamedTuple):
    """Result of a training step: the loss, and figures to log by name."""

    loss: Tensor
    figures: dict[str, Tensor]


class Generated(NamedTuple):
    """Latents of one transition that a prior has generated, codes (B, K) or vectors (B, K, d), and their
    log-probabilities (B, K), which are NaN if the prior has none.

    If a rule stopped the rows, also how many latents of each row count, int64 (B,), and the rule's estimates (B, K).
    """

    codes: Tensor
    log_probs: Tensor
    lengths: Tensor | None = None
    estimates: Tensor | None = None


@runtime_checkable
class LatentActionModel(Protocol):
    """Model that learns from pairs of frames what happened between them."""

    @property
    def latent(self) -> LatentSpec:
        """Structure of the model's latent actions."""
        ...

    def loss(self, batch: Mapping[str, Tensor], generator: torch.Generator) -> StepOutput:
        """Compute the loss of a training step.

        Args:
            batch: "obs" and "next_obs", frames (B, C, H, W).
            generator: Source of all randomness of the step.
        """
        ...

    def encode(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """Encode transitions from `obs` to `next_obs`, both (B, C, H, W), as latents with all M slots."""
        ...

    def keep_prefix(self, latents: Tensor, budget: int | Tensor) -> Tensor:
        """Give the slots (B, M, d) of latents with the first `budget` kept, one number or one per row; the result does
        not depend on the others.
        """
        ...


@runtime_checkable
class FrameDecoder(Protocol):
    """Latent action model that predicts pixels."""

    def decode(
        self,
        obs: Tensor,
        latents: Tensor,
        budget: int | Tensor,
        steps: int = 8,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Predict the next frames, uint8 (B, C, H, W), from the current ones and the first `budget` latents."""
        ...


@runtime_checkable
class LatentPrior(Protocol):
    """Predicts latent actions from the past, in B environments that each have their own clock."""

    def initial_state(self, rows: int) -> Any:
        """Make the empty history of `rows` environments."""
        ...

    def clear(self, state: Any, rows: Tensor) -> None:
        """Clear the history of the rows where bool `rows` (B,) is true."""
        ...

    def numbers(self, budget: int) -> int:
        """Uniform numbers per row that `generate` takes for its first `budget` latents."""
        ...

    def observe(self, state: Any, frames: Tensor, last_codes: Tensor | None) -> Tensor:
        """Add the newest frames and the latents of the transitions that led to them (None if all rows begin).

        Returns:
            A summary (B, D) that `generate` starts from; the state is changed in place.
        """
        ...

    def generate(
        self,
        state: Any,
        hidden: Tensor,
        budget: int,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        draws: Tensor | None = None,
    ) -> Generated:
        """Generate the first `budget` latents of the next transition.

        Args:
            state: History after `observe`.
            hidden: The output of `observe`.
            budget: K.
            generator: Random stream; if it and `draws` are None, the likeliest latents are taken.
            temperature: Temperature of the sampling; above 1, the distribution is flatter.
            draws: Uniform numbers in [0, 1), (B, `numbers(K)`), instead of a generator.
        """
        ...


@runtime_checkable
class WorldModel(Protocol):
    """Model that predicts video."""

    def rollout(self, context: Tensor, latents: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Predict frames, uint8 (B, horizon, C, H, W).

        Args:
            context: Past frames (B, T, C, H, W).
            latents: Latents of each step ahead, (B, horizon, K), or (B, horizon, K, d) if they are continuous.
            generator: Random stream of the prediction.
        """
        ...


@runtime_checkable
class SteppedWorldModel(WorldModel, Protocol):
    """World model that predicts frame by frame, in rows that each have their own past.

    What it stores per frame is an *item*, a tensor. `models.stepping.step_by_step` predicts any number of frames with
    items; as long as all frames fit into the look-back, they equal those of `rollout`.
    """

    @property
    def conditions(self) -> Conditions:
        """What the model is given about each step."""
        ...

    @property
    def look_back(self) -> LookBack:
        """Least and largest number of items that a prediction is made from."""
        ...

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """C, H, W."""
        ...

    def remember(self, frames: Tensor) -> Tensor:
        """Make the items (B, T, ...) of frames (B, T, C, H, W)."""
        ...

    def next_frame(self, items: Tensor, told: Tensor | None, generator: Streams | None = None) -> tuple[Tensor, Tensor]:
        """Predict the next frames.

        Args:
            items: Items of the newest w frames of each row, oldest first, (B, w, ...), with w within `look_back`.
            told: Conditions of the steps to each of these frames and to the next one, (B, w + 1, ...),
                `conditions.unknown` where a step is not known; None if the model is given nothing.
            generator: Random stream, or one per row; None for the likeliest frame, if the model has one.

        Returns:
            Items (B, ...) and frames uint8 (B, C, H, W).
        """
        ...


@runtime_checkable
class FrameDensity(Protocol):
    """Model of video that gives its likelihood."""

    def log_prob(self, frames: Tensor) -> Tensor:
        """Log-probability of each frame given those before it: (B, T, C, H, W) to (B, T)."""
        ...


@runtime_checkable
class RewardModel(Protocol):
    """Model that makes rewards from video."""

    def reward(self, frames: Tensor) -> Tensor:
        """Reward of each frame given those before it: (B, T, C, H, W) to (B, T)."""
        ...


@runtime_checkable
class BudgetRule(Protocol):
    """Chooses how many latents a decision spends.

    A rule estimates what is missing at one of three moments, and gives None at the others. A row stops at the first k
    whose estimate is below the tolerance.
    """

    @property
    def name(self) -> str:
        """Name of the rule in `Decision`."""
        ...

    @property
    def tolerance(self) -> float:
        """Tolerance; an estimate below it stops a row."""
        ...

    def ahead(self, state: Tensor) -> Tensor | None:
        """Estimate before the first code, from the prior's state (B, D): (B, M) for k = 1..M."""
        ...

    def after(self, k: int, hidden: Tensor, codes: Tensor) -> Tensor | None:
        """Estimate after code k (B,), from the state that predicted it (B, D') and the code, int64 (B,)."""
        ...

    def before(self, logits: Tensor) -> Tensor | None:
        """Estimate for the codes so far (B,), from the logits (B, V) of the next code, which is not yet taken."""
        ...
