"""What a stage is to be: its model's configuration and its loop, from the options and the recipe, before anything is
trained.
"""

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from flexlam_rl.datasets import Rollouts
from flexlam_rl.models.baselines.control_stage import CODE_KINDS
from flexlam_rl.models.flexlam.arguments import TrainArgs
from flexlam_rl.models.flexlam.config import ActionSpec, FeatureConfig, IDMConfig, LAMConfig, TranslatorConfig
from flexlam_rl.models.flexlam.recipes import RECIPES, Recipe
from flexlam_rl.train import optim
from flexlam_rl.train.trainer import LoopConfig

# models without codes: what they take from a label
DIRECT = {
    "idm": ("current", "following", "previous"),
    "bc": ("current", "previous"),
    "features": ("current", "following", "previous"),
}
LABELLED = ("translator", "joint", *DIRECT, *CODE_KINDS)
STAGES = ("lam", "sequence", *LABELLED)


@dataclass(frozen=True)
class RunConfig:
    """What config.json of a stage's folder holds; see `identity` for what a continued run must share."""

    stage: str
    model: Any
    loop: LoopConfig
    data: tuple[str, ...]
    labels: str
    prefix_law: str | None
    """None for the uniform law, as in folders from before there was another."""
    long_share: float | None = field(default=None, metadata={"later": True})
    """Where it is not the preset's."""
    targets: str | None = field(default=None, metadata={"later": True})
    """Where they are not whole blocks."""
    lam: str | None = field(default=None, metadata={"later": True})
    """Digest of the LAM whose codes the stage is trained on: codes of another one mean something else."""
    label_rows: str | None = field(default=None, metadata={"later": True, "unknown before": True})
    """Digest of the labels: a set drawn anew under the same name is another one."""


def loop_config(stage: str, args: TrainArgs) -> LoopConfig:
    """Loop of a stage: the recipe's, with what the options change.

    Args:
        stage: Name of the stage.
        args: The options.
    """
    recipe = RECIPES[args.preset]
    # every baseline trains as the translator does; those that learn to see as well, at the rate of the IDM
    named = {"lam": recipe.lam, "sequence": recipe.sequence, "joint": recipe.joint, "idm": recipe.idm, "bc": recipe.idm}
    config = replace(named.get(stage, recipe.translator), seed=args.seed, device=args.device)
    if torch.device(args.device).type == "cpu":
        config = replace(config, compile=False, precision=config.precision if optim.has_matrix_units() else "fp32")
    # a run that moves to another device keeps its arithmetic
    precision = args.precision or _begun_with(args.out / stage, config.precision)
    compiled = config.compile if args.compile is None else args.compile
    config = replace(config, compile=compiled, precision=precision, optimiser=args.optimiser or config.optimiser)
    steps = args.lam_steps if stage == "lam" and args.lam_steps is not None else args.steps
    return config if steps is None else replace(config, steps=steps, warmup=min(config.warmup, steps // 10))


def _begun_with(folder: Path, precision: Any) -> Any:
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8"))["loop"]["precision"]
    except (OSError, ValueError, LookupError, TypeError):
        return precision


def windows(args: TrainArgs) -> tuple[int, int, float]:
    """Frames of the sequence model's short and whole windows, and the share of its steps that see whole ones."""
    recipe = RECIPES[args.preset]
    long_share = recipe.long_share if args.long_share is None else args.long_share
    return recipe.short_frames, recipe.sizes.sequence.frames if long_share else recipe.short_frames, long_share


def plan(
    stage: str, args: TrainArgs, train: Rollouts, lam: LAMConfig, actions: ActionSpec | None = None, *,
    lam_digest: str | None = None, label_rows: str | None = None,
) -> RunConfig:  # fmt: skip
    """The whole configuration of a stage.

    Args:
        stage: Name of the stage.
        args: The options.
        train: The rollouts to train on.
        lam: Configuration of the LAM that the stage is or trains on.
        actions: What a stage on labels predicts.
        lam_digest: Digest of the trained LAM, where the stage builds on one that is there already.
        label_rows: Digest of the labels, where the stage takes some that are there already.
    """
    recipe = RECIPES[args.preset]
    labels = args.labels if stage in LABELLED else ""
    law = None if args.prefix_law == "uniform" or stage == "sequence" or stage in DIRECT else args.prefix_law
    targets = (args.targets or recipe.targets) if stage == "sequence" else "blocks"
    return RunConfig(
        stage=stage,
        model=_model_config(stage, args, recipe, lam, actions),
        loop=loop_config(stage, args),
        data=tuple(train.digests),
        labels=labels,
        prefix_law=law,
        long_share=args.long_share if stage == "sequence" else None,
        targets=None if targets == "blocks" else targets,
        lam=lam_digest,
        label_rows=label_rows,
    )


def _model_config(stage: str, args: TrainArgs, recipe: Recipe, lam: LAMConfig, actions: ActionSpec | None) -> Any:
    if stage == "lam":
        return lam
    if stage == "sequence":
        sequence = recipe.sizes.sequence
        _, longest, long_share = windows(args)
        # a model that never sees long contexts in training must not meet them in play
        frames = longest if long_share else longest - 1
        return replace(
            sequence, slots=lam.slots, codes=math.prod(lam.levels), stem=args.stem or sequence.stem, frames=frames
        )
    assert actions is not None
    size = recipe.sizes.lam
    if stage == "features":
        return FeatureConfig(size.channels, actions, **recipe.translator_slots)
    if stage in DIRECT:
        return IDMConfig(size.image_size, size.channels, actions, size.encoder, **recipe.translator_slots)
    return TranslatorConfig(
        slots=lam.slots, code_dim=len(lam.levels), prefix=lam.prefix, actions=actions, conditioning=args.conditioning,
        image_size=size.image_size, channels=size.channels, **recipe.translator_slots,
    )  # fmt: skip
