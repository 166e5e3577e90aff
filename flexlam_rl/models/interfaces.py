"""What the systems have in common: the roles that agents, evaluation and training rely on.

A class has a role by having its methods; nothing is inherited. Shapes: `B` batch, `T` time, `M` slots, `K` budget,
`d` numbers per slot, `V` codes, `D`, `D'` widths, `C H W` frame. *Latents* are codes, int64 (B, K), where
`LatentSpec.codes` is a number, and vectors, float (B, K, d), where it is None.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from flexlam_rl.nn.streams import Streams


@dataclass(frozen=True)
class LatentSpec:
    """What a latent action consists of.

    Attributes:
        slots: M.
        dim: d.
        codes: V, None where latent actions are continuous.
        prefix: Whether any prefix of the slots is a latent action; otherwise only all of them are.
    """

    slots: int
    dim: int
    codes: int | None
    prefix: bool


@dataclass(frozen=True)
class Conditions:
    """What a world model is told of the step to each frame.

    Attributes:
        kind: "codes": the first K codes of a latent action, int64 (B, horizon, K). "slots": its first K vectors, float
            (B, horizon, K, d). "vectors": its K slots one after the other, float (B, horizon, K d). "actions": the
            environment's own, int64 (B, horizon). "nothing": None.
        count: V of codes, d of slots, K d of vectors, the number of actions; 0 for nothing.
        slots: M of codes and slots, 0 elsewhere.
        prefix: Whether any prefix of the slots will do; else all of them are needed.
    """

    kind: Literal["codes", "slots", "vectors", "actions", "nothing"]
    count: int = 0
    slots: int = 0
    prefix: bool = False

    @property
    def unknown(self) -> float:
        """What stands for a step that nothing is known of."""
        return -1 if self.kind in ("codes", "actions") else 0.0


class LookBack(NamedTuple):
    """How many frames a world model looks back at, at least and at most, to predict the next one."""

    least: int
    most: int


class StepOutput(NamedTuple):
    """Result of a training step: the loss, and numbers to log by name."""

    loss: Tensor
    figures: dict[str, Tensor]


class Generated(NamedTuple):
    """Latents of one transition that a prior has generated, codes (B, K) or vectors (B, K, d), and their
    log-probabilities (B, K), NaN where the prior has none.

    Where a rule stopped each row: how many of its latents count, int64 (B,), and the rule's estimates (B, K).
    """

    codes: Tensor
    log_probs: Tensor
    lengths: Tensor | None = None
    estimates: Tensor | None = None


@runtime_checkable
class LatentActionModel(Protocol):
    """Learns from pairs of frames what happened between them."""

    @property
    def latent(self) -> LatentSpec:
        """What its latent actions consist of."""
        ...

    def loss(self, batch: Mapping[str, Tensor], generator: torch.Generator) -> StepOutput:
        """Compute a training step's loss.

        Args:
            batch: "obs" and "next_obs", frames (B, C, H, W).
            generator: All randomness of the step.
        """
        ...

    def encode(self, obs: Tensor, next_obs: Tensor) -> Tensor:
        """Give the latents, all M slots, of transitions from `obs` to `next_obs`, both (B, C, H, W)."""
        ...

    def keep_prefix(self, latents: Tensor, budget: int | Tensor) -> Tensor:
        """Give the slots (B, M, d) of latents of which `budget` are kept, one number or one per row; nothing of the
        others reaches the result.
        """
        ...


@runtime_checkable
class FrameDecoder(Protocol):
    """A latent action model that predicts pixels."""

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
    """Predicts latent actions from what was seen so far, in B environments that each have their own clock."""

    def initial_state(self, rows: int) -> Any:
        """Give the empty history of `rows` environments."""
        ...

    def clear(self, state: Any, rows: Tensor) -> None:
        """Begin anew in the rows where bool `rows` (B,) is true."""
        ...

    def numbers(self, budget: int) -> int:
        """How many uniform numbers `generate` takes of each row for its first `budget` latents."""
        ...

    def observe(self, state: Any, frames: Tensor, last_codes: Tensor | None) -> Tensor:
        """Take in the newest frames and the latents of the transitions that led to them (None: all rows begin).

        Returns:
            A summary (B, D) that `generate` starts from; the state is advanced in place.
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
        """Generate the first `budget` latents of the transition ahead.

        Args:
            state: After `observe`.
            hidden: What `observe` returned.
            budget: K.
            generator: Random stream; None, without `draws`, takes the likeliest latents.
            temperature: Flattens the distribution when sampling.
            draws: Uniform numbers in [0, 1), (B, `numbers(K)`), in place of a generator.
        """
        ...


@runtime_checkable
class WorldModel(Protocol):
    """Predicts video."""

    def rollout(self, context: Tensor, latents: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Predict frames, uint8 (B, horizon, C, H, W).

        Args:
            context: The frames so far, (B, T, C, H, W).
            latents: What happens at each step ahead, (B, horizon, K), with one dimension more where continuous.
            generator: Random stream of the prediction.
        """
        ...


@runtime_checkable
class SteppedWorldModel(WorldModel, Protocol):
    """A world model that goes on frame by frame, in rows that each have their own past.

    What it keeps of a frame is an *item*, a tensor. `models.stepping.step_by_step` predicts any number of frames with
    it; while all frames fit into its look back, they are those of `rollout`.
    """

    @property
    def conditions(self) -> Conditions:
        """What it is told of each step."""
        ...

    @property
    def look_back(self) -> LookBack:
        """How many items a prediction is made from."""
        ...

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """C, H, W."""
        ...

    def remember(self, frames: Tensor) -> Tensor:
        """Give the items (B, T, ...) of frames (B, T, C, H, W)."""
        ...

    def next_frame(self, items: Tensor, told: Tensor | None, generator: Streams | None = None) -> tuple[Tensor, Tensor]:
        """Predict the next frames.

        Args:
            items: Of the newest w frames of each row, oldest first, (B, w, ...), w within `look_back`.
            told: What led to each of these frames and to the next, (B, w + 1, ...), `conditions.unknown` where that is
                not known; None for nothing.
            generator: Random stream, or one per row; None for the likeliest frame, where the model has one.

        Returns:
            Items (B, ...), and frames uint8 (B, C, H, W).
        """
        ...


@runtime_checkable
class FrameDensity(Protocol):
    """A model of video that tells how likely it is."""

    def log_prob(self, frames: Tensor) -> Tensor:
        """Log-probability of each frame given those before it: (B, T, C, H, W) to (B, T)."""
        ...


@runtime_checkable
class RewardModel(Protocol):
    """Rewards made from video."""

    def reward(self, frames: Tensor) -> Tensor:
        """Reward of each frame given those before it: (B, T, C, H, W) to (B, T)."""
        ...


@runtime_checkable
class BudgetRule(Protocol):
    """Chooses how many latents a decision spends: estimates what is missing, at one of three moments, and gives None at
    the others. A row stops at the first k whose estimate is below the tolerance.
    """

    @property
    def name(self) -> str:
        """What `Decision` calls it."""
        ...

    @property
    def tolerance(self) -> float:
        """Below it, an estimate stops a row."""
        ...

    def ahead(self, state: Tensor) -> Tensor | None:
        """Before the first code, from the prior's state (B, D): estimates (B, M) for k = 1..M."""
        ...

    def after(self, k: int, hidden: Tensor, codes: Tensor) -> Tensor | None:
        """After code k: estimates (B,), from the state that predicted it (B, D') and the code, int64 (B,)."""
        ...

    def before(self, logits: Tensor) -> Tensor | None:
        """When the next code is predicted, by logits (B, V), and not yet taken: estimates (B,) for the codes before."""
        ...
