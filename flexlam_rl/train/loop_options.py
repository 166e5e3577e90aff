"""The loop configuration of a stage: its recipe's, with the changes that options make."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from flexlam_rl.train import optim
from flexlam_rl.train.options import StageOptions
from flexlam_rl.train.trainer import LoopConfig


def loop_config(recipe: LoopConfig, options: StageOptions, folder: Path) -> LoopConfig:
    """Make the loop configuration of a stage.

    Args:
        recipe: The loop configuration of the recipe.
        options: Options of the stage, which change it.
        folder: The stage's folder; a run that moves to another device keeps the precision that it began with.
    """
    lr, matrix_lr = recipe.lr * options.lr_scale, recipe.matrix_lr * options.lr_scale
    config = replace(recipe, seed=options.seed, device=options.device, lr=lr, matrix_lr=matrix_lr)
    if torch.device(options.device).type == "cpu":
        config = replace(config, compile=False, precision=config.precision if optim.multiplies_bfloat16() else "fp32")
    precision = options.precision or _begun_with(folder, config.precision)
    compiled = config.compile if options.compile is None else options.compile
    config = replace(config, compile=compiled, precision=precision, optimiser=options.optimiser or config.optimiser)
    if options.steps is None:
        return config
    return replace(config, steps=options.steps, warmup=min(config.warmup, options.steps // 10))


def _begun_with(folder: Path, precision: Any) -> Any:
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8"))["loop"]["precision"]
    except (OSError, ValueError, LookupError, TypeError):
        return precision
