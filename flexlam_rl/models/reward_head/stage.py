"""The stage `reward_head`, which trains on transitions of every reward equally often.

Shapes: B transitions, C H W frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.datasets import Rollouts, TransitionPairs
from flexlam_rl.models.reward_head.model import RewardHead, RewardHeadConfig
from flexlam_rl.nn.patch_embed import frame_fields
from flexlam_rl.train import distributed
from flexlam_rl.train.definition import RunConfig, Splits, StageDefinition
from flexlam_rl.train.loop_options import loop_config
from flexlam_rl.train.options import StageOptions
from flexlam_rl.train.source import Source, to_device
from flexlam_rl.train.stage import SourceStage
from flexlam_rl.train.trainer import LoopConfig

MOST_VALUES = 64


@dataclass(frozen=True)
class Recipe:
    """Sizes and loop configuration of a preset."""

    first: int
    hidden: int
    loop: LoopConfig
    held_out: int


_SHORT = LoopConfig(steps=8, batch=4, lr=1e-3, warmup=2, eval_every=8, save_every=3, log_every=2)
_MINUTES = LoopConfig(steps=3000, batch=32, lr=3e-4, warmup=100, eval_every=250, save_every=250, log_every=50)
RECIPES: dict[str, Recipe] = {"tiny": Recipe(32, 256, _MINUTES, 256), "debug": Recipe(4, 16, _SHORT, 16)}


@dataclass(frozen=True)
class RewardHeadOptions(StageOptions):
    """Train a head that predicts rewards of imagined environments, on rollouts that have rewards."""

    preset: Literal["tiny", "debug"] = field(default="tiny", kw_only=True)
    """Preset, which sets sizes, length and rates."""


class RewardPairs:
    """Batches with "obs", "next_obs" and "which" (B,), the index of the reward in `values`; each value is drawn equally
    often.

    Args:
        rollouts: The rollouts.
        values: The rewards; transitions with other rewards are left out, and values without transitions are not drawn.
        batch, seed, rank, ranks: As for `ArraySource`.

    Raises:
        ValueError: No transition has one of these rewards.
    """

    def __init__(
        self, rollouts: Rollouts, values: tuple[float, ...], batch: int, seed: int, rank: int = 0, ranks: int = 1
    ) -> None:
        self.pairs = TransitionPairs(rollouts, ("reward",))
        rewards = rewards_of(self.pairs)
        self.items = [np.flatnonzero(rewards == value) for value in values]
        self.there = np.array([i for i, items in enumerate(self.items) if len(items)])
        if not len(self.there):
            raise ValueError(f"No transition has one of the rewards {values}.")
        self.batch, self.key, self.position = batch, [seed, rank, ranks], 0

    def next(self) -> dict[str, Any]:
        """Give the next batch."""
        rng = np.random.default_rng([*self.key, self.position])
        self.position += 1
        which = self.there[rng.integers(len(self.there), size=self.batch)]
        items = np.array([self.items[i][rng.integers(len(self.items[i]))] for i in which])
        frames = self.pairs.read(items)["frames"]
        return {"obs": frames[:, 0], "next_obs": frames[:, 1], "which": which}

    def state_dict(self) -> dict[str, Any]:
        """Give the cursor."""
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a cursor."""
        self.position = int(state["position"])


def rewards_of(pairs: TransitionPairs) -> np.ndarray:
    """Read the rewards of all transitions, as float64."""
    number, rows = pairs.locate(np.arange(len(pairs)))
    return pairs.columns(number, rows)["reward"].astype(np.float64)


class RewardStage(SourceStage):
    """Trains by the cross-entropy of rewards.

    Args:
        model: The reward head, which trains.
        source: Batches as from `RewardPairs`.
        held_out: One such batch, never trained on.
    """

    name = "reward_head"

    def __init__(self, model: RewardHead, source: Source, held_out: dict[str, Any]) -> None:
        super().__init__({"reward_head": model}, source)
        self.model, self.held_out = model, held_out

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        return self.model.loss(batch["obs"], batch["next_obs"], batch["which"])

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Compute cross-entropy and accuracy on held-out transitions, with equally many of every reward."""
        batch = to_device(self.held_out, device)
        loss, figures = self.model.loss(batch["obs"], batch["next_obs"], batch["which"])
        return {"loss": float(loss), "accuracy": float(figures["accuracy"])}


def _plan(options: RewardHeadOptions, splits: Splits, coming: Mapping[str, Any]) -> RunConfig:
    pairs = TransitionPairs(splits.train, ("reward",))
    values, counts = np.unique(rewards_of(pairs), return_counts=True)
    if len(values) < 2:
        raise ValueError(f"All {len(pairs):,} transitions have the reward {values[0]:g}; there is nothing to learn.")
    if len(values) > MOST_VALUES:
        raise ValueError(f"Rewards have {len(values)} values; expected {MOST_VALUES} at most, one class for each.")
    recipe, (height, width, channels) = RECIPES[options.preset], pairs.frame_shape
    model = RewardHeadConfig(
        channels=channels, first=recipe.first, hidden=recipe.hidden, values=tuple(values.tolist()),
        shares=tuple((counts / counts.sum()).tolist()), **frame_fields((height, width)),
    )  # fmt: skip
    loop = loop_config(recipe.loop, options, options.out / "reward_head")
    return RunConfig("reward_head", model, loop, tuple(splits.train.digests))


def _build(options: RewardHeadOptions, config: RunConfig, splits: Splits) -> RewardStage:
    rank, ranks = distributed.start(options.device)
    values = config.model.values
    source = RewardPairs(splits.train, values, config.loop.batch, options.seed, rank, ranks)
    held_out = RewardPairs(splits.test, values, RECIPES[options.preset].held_out, 0).next()
    return RewardStage(RewardHead(config.model), source, held_out)


REWARD_HEAD_STAGE = StageDefinition(
    "reward_head", "rewards of imagined environments, from rollouts with rewards",
    RewardHeadOptions, _plan, _build, ("reward_head",),
)  # fmt: skip
