"""What the systems have in common: the roles that agents, evaluation and training rely on.

A class has a role by having its methods; nothing is inherited. Shapes: `B` batch, `T` time, `M` slots, `K` budget,
`d` numbers per slot, `V` codes, `D` width, `C H W` frame. *Latents* are codes, int64 (B, K), where `LatentSpec.codes`
is a number, and vectors, float (B, K, d), where it is None.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor


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


class StepOutput(NamedTuple):
    """Result of a training step: the loss, and numbers to log by name."""

    loss: Tensor
    figures: dict[str, Tensor]


class Generated(NamedTuple):
    """Latents of one transition that a prior has generated, and their log-probabilities (B, K)."""

    codes: Tensor
    log_probs: Tensor


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
            draws: Uniform numbers in [0, 1), (B, K), in place of a generator.
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
class BudgetPolicy(Protocol):
    """Chooses how many latents a decision spends."""

    def choose(self, state: Any) -> Tensor:
        """Give K of each row, int64 (B,)."""
        ...
