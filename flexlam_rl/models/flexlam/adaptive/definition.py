"""Definition of the stage `budget` for `STAGES`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from flexlam_rl.datasets import Rollouts, Windows
from flexlam_rl.models.flexlam.adaptive.choosing import need_prefixes
from flexlam_rl.models.flexlam.adaptive.head import BudgetConfig, BudgetHead
from flexlam_rl.models.flexlam.adaptive.objectives import OBJECTIVES
from flexlam_rl.models.flexlam.adaptive.stage import BudgetStage, with_budgets
from flexlam_rl.models.flexlam.adaptive.stored import Searched, need_budgets, searched, stored_budgets
from flexlam_rl.models.flexlam.cached_codes import stored_codes
from flexlam_rl.models.flexlam.options import CodeOptions
from flexlam_rl.models.flexlam.priors import CodePrior, load_prior, state_widths
from flexlam_rl.models.flexlam.recipes import RECIPES
from flexlam_rl.models.flexlam.run_config import FlexLAMRun, run_config
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.models.systems import load_slot_model
from flexlam_rl.nn.prefix_search import How
from flexlam_rl.nn.pretrained import model_digest
from flexlam_rl.train import data, distributed
from flexlam_rl.train.definition import Splits, StageDefinition, needed
from flexlam_rl.train.source import to_device
from flexlam_rl.utils.numbers import real

DECISIONS = 4
"""Decisions per step for each example of the preset's batch."""


@dataclass(frozen=True)
class BudgetOptions(CodeOptions):
    """Train the head that chooses a budget for every decision, without labels, on rollouts whose k* were searched
    before (flexlam data budgets).
    """

    sequence_run: Path | None = field(default=None, kw_only=True)
    """Take the sequence model from this run's folder instead of --out."""
    translator_run: Path | None = field(default=None, kw_only=True)
    """Take the translator from this run's folder instead of --out."""
    objective: str = field(default="agreement", kw_only=True)
    """Objective of the search for k*: agreement, flow or picture."""
    tolerance: float = field(default=0.1, kw_only=True)
    """Tolerance of the search for k*."""
    how: How = field(default="full", kw_only=True)
    """Kind of the search for k*."""

    def __post_init__(self) -> None:
        """Check the options, as in the class above."""
        super().__post_init__()
        real(self.tolerance, "tolerance")
        if self.objective not in OBJECTIVES:
            raise ValueError(f"objective is {self.objective!r}; expected one of {', '.join(OBJECTIVES)}.")


@dataclass(frozen=True)
class BudgetRun(FlexLAMRun):
    """Configuration of the stage."""

    sequence: str = ""
    """Digest of the sequence model."""
    translator: str = ""
    """Digest of the translator."""
    searched: str = ""
    """Digest of the search that found the k*."""


def _searched(options: BudgetOptions) -> Searched:
    folders = (needed(options, stage) for stage in ("lam", "translator"))
    lam, translator = map(model_digest, folders)
    return searched(lam, options.objective, options.tolerance, translator, options.how)


def _prior(options: BudgetOptions) -> CodePrior:
    prior = load_prior(needed(options, "sequence"))
    if not isinstance(prior, CodePrior):
        raise ValueError(
            "the budget head cannot be trained: the prior makes all slots of a decision at once; expected one that "
            "makes codes one after another (interleaved, factored, recurrent)."
        )
    return prior


def _plan(options: BudgetOptions, splits: Splits, coming: Mapping[str, Any]) -> BudgetRun:
    lam = load_slot_model(needed(options, "lam"))
    prior = _prior(options)
    need_prefixes(lam, "the budget head cannot be trained")
    what = _searched(options)
    for rollouts in (splits.train, splits.test):
        need_budgets(what, rollouts)
    for rollouts in (splits.train, splits.test):
        Windows(rollouts, prior.config.frames + 1)  # refuses rollouts whose episodes are all shorter
    model = BudgetConfig(
        prior.config.slots, prior.config.codes, *state_widths(prior), options.objective, options.tolerance
    )
    common = run_config("budget", lam.config, options, splits, lam=model_digest(needed(options, "lam")))
    return BudgetRun(
        "budget", model, common.loop, common.data, lam=common.lam, searched=what.digest,
        sequence=model_digest(needed(options, "sequence")), translator=model_digest(needed(options, "translator")),
    )  # fmt: skip


def _build(options: BudgetOptions, config: BudgetRun, splits: Splits) -> BudgetStage:
    rank, ranks = distributed.start(options.device)
    lam, prior = load_slot_model(needed(options, "lam")), _prior(options)
    translator = Translator.from_pretrained(needed(options, "translator"))
    what, digest = _searched(options), model_digest(needed(options, "lam"))

    def beside(rollouts: Rollouts) -> list[Any]:
        codes = stored_codes(lam, digest, rollouts, options.device)
        found = stored_budgets(lam, what, rollouts, translator, options.device)
        return with_budgets(codes, [one[:, 0] for one in found])

    length = prior.config.frames + 1
    windows = max(1, DECISIONS * config.loop.batch // (length - 1))

    def source(rollouts: Rollouts, count: int, seed: int, **place: Any) -> data.FrameSource:
        return data.FrameSource(Windows(rollouts, length), count, seed, codes=beside(rollouts), **place)

    count = max(4, RECIPES[options.preset].held_out // (length - 1))
    held_out = to_device(source(splits.test, count, 0).next(), "cpu")
    torch.default_generator.manual_seed(options.seed)  # loading the models above drew random weights
    return BudgetStage(
        BudgetHead(config.model), lam, prior, translator,
        _Windows(source(splits.train, windows, options.seed, rank=rank, ranks=ranks, device=config.loop.device)),
        {name: held_out[name] for name in ("frames", "codes")},
    )  # fmt: skip


class _Windows:
    """Windows with their codes and k*, as a source of batches."""

    def __init__(self, source: data.FrameSource) -> None:
        self.source = source

    def next(self) -> dict[str, Any]:
        """Give the next batch."""
        batch = self.source.next()
        return {name: batch[name] for name in ("frames", "codes")}

    def state_dict(self) -> dict[str, Any]:
        """Give the cursor."""
        return self.source.batches.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a cursor."""
        self.source.batches.load_state_dict(state)


BUDGET_STAGE = StageDefinition(
    "budget", "the head that chooses a budget for every decision, from the prior's states",
    BudgetOptions, _plan, _build, ("budget",), ("lam", "sequence", "translator"),
)  # fmt: skip
