"""Whole training configurations, one per preset: sizes, lengths and rates of all stages."""

from dataclasses import dataclass, field, replace
from typing import Any

from flexlam_rl.models.flexlam.config import PRESETS, LAMConfig, Preset, fixed
from flexlam_rl.models.flexlam.continuous.config import SIZES as CONTINUOUS
from flexlam_rl.models.flexlam.continuous.config import ContinuousConfig
from flexlam_rl.models.flexlam.factored.config import SIZES, FactoredConfig
from flexlam_rl.models.flexlam.recurrent.config import SIZES as RECURRENT
from flexlam_rl.models.flexlam.recurrent.config import RecurrentConfig
from flexlam_rl.models.flexlam.stages.sequence import Targets
from flexlam_rl.train.trainer import LoopConfig


@dataclass(frozen=True)
class Recipe:
    """Training configuration of all stages of one preset."""

    sizes: Preset
    lam: LoopConfig
    sequence: LoopConfig
    translator: LoopConfig
    joint: LoopConfig
    idm: LoopConfig
    factored_sizes: FactoredConfig
    continuous_sizes: ContinuousConfig
    factored: LoopConfig
    """Training of the factored and continuous priors; its batch counts whole windows."""
    recurrent_sizes: RecurrentConfig
    recurrent: LoopConfig
    """Training of the recurrent prior; its batch counts whole windows."""
    short_frames: int = 10
    """Frames of the first part of the sequence model's curriculum (paper, table 8)."""
    long_share: float = 1 / 6
    """Share of the sequence model's steps that train on whole contexts, with half the batch. With 0, the model is one
    of short windows, whose last frame is no decision.
    """
    factored_short: int = 5
    """Frames of the first part of the factored prior's curriculum. Decisions within a window are alike, so many short
    windows teach more than few whole ones.
    """
    factored_long_share: float = 1 / 6
    """Share of the factored prior's steps that train on whole contexts, with as many decisions per step."""
    targets: Targets = "blocks"
    """What the priors' steps predict."""
    held_out: int = 512
    """Number of held-out transitions in an evaluation."""
    translator_slots: dict[str, Any] = field(default_factory=lambda: {"depth": 5, "hidden": 96, "wide": 512})

    def prior(self, name: str) -> LoopConfig:
        """Training of the prior of this name."""
        return {"interleaved": self.sequence, "recurrent": self.recurrent}.get(name, self.factored)


def _labelled(steps: int, lr: float = 1e-4) -> LoopConfig:
    # at 1e-3, few labels are memorized within a hundred steps, so the first evaluation must come before that to choose
    # a checkpoint; evaluations cost little
    every, often = max(1, steps // 20), max(1, steps // 100)
    return LoopConfig(
        steps=steps, batch=64, lr=lr, warmup=min(100, steps // 10), eval_every=often, save_every=every, log_every=every
    )


def _recipe(
    name: str, lam: LoopConfig, sequence: LoopConfig, labelled: LoopConfig, windows: int, **changes: Any
) -> Recipe:
    return Recipe(
        PRESETS[name], lam, sequence, labelled, replace(labelled, lr=3e-4), replace(labelled, lr=1e-3),
        SIZES[name], CONTINUOUS[name], replace(sequence, batch=windows), RECURRENT[name],
        replace(sequence, batch=8 * windows, matrix_lr=2 * sequence.matrix_lr), **changes,
    )  # fmt: skip


_MUON: dict[str, Any] = {"optimiser": "muon", "lr": 1e-3, "matrix_lr": 1e-2, "precision": "bf16"}
RECIPES: dict[str, Recipe] = {
    # table 8 for the sequence model; the paper gives the LAM's cost (24 h of one H100) but not its steps
    "paper": _recipe(
        "paper",
        LoopConfig(
            steps=400_000,
            batch=256,
            lr=3e-4,
            warmup=2000,
            precision="bf16",
            compile=True,
            eval_every=10_000,
            save_every=5000,
            log_every=100,
        ),
        LoopConfig(
            steps=300_000,
            batch=256,
            lr=3e-4,
            warmup=2000,
            precision="bf16",
            compile=True,
            eval_every=10_000,
            save_every=5000,
            log_every=100,
        ),
        _labelled(20_000),
        windows=32,
        held_out=2048,
    ),
    "small": _recipe(
        "small",
        LoopConfig(
            steps=60_000,
            batch=256,
            lr=5e-4,
            warmup=1000,
            precision="bf16",
            compile=True,
            eval_every=5000,
            save_every=2500,
            log_every=100,
        ),
        LoopConfig(
            steps=40_000,
            batch=128,
            lr=5e-4,
            warmup=1000,
            precision="bf16",
            compile=True,
            eval_every=5000,
            save_every=2500,
            log_every=100,
        ),
        _labelled(10_000),
        windows=16,
        held_out=1024,
    ),
    # the LAM: most of an hour on two cores; many small steps lead at equal seconds (docs/lam.md). The sequence model:
    # the same, on short windows (docs/sequence.md). Both in bf16 where the CPU multiplies it in hardware
    "tiny": _recipe(
        "tiny",
        LoopConfig(
            steps=16_000, batch=32, eval_every=1000, save_every=500, log_every=100, warmup=100, **_MUON | {"lr": 3e-3}
        ),
        LoopConfig(steps=6000, batch=48, eval_every=600, save_every=300, log_every=50, warmup=200, **_MUON),
        _labelled(2000),
        windows=2,
        short_frames=3,
        long_share=0.0,
        targets="prefixes",
    ),
    "debug": _recipe(
        "debug",
        LoopConfig(steps=20, batch=8, lr=1e-3, warmup=2, eval_every=10, save_every=5, log_every=5),
        LoopConfig(steps=12, batch=4, lr=1e-3, warmup=2, eval_every=6, save_every=3, log_every=3),
        _labelled(20, lr=1e-3),
        windows=4,
        short_frames=3,
        held_out=16,
    ),
}

# meant for 7 minutes of the LAM and 15 of a prior on one core, from the processor time of one step (docs/sequence.md);
# few labels need few steps, and a study has hundreds of translators
RECIPES["study"] = replace(
    RECIPES["tiny"],
    lam=replace(RECIPES["tiny"].lam, steps=2500, eval_every=500),
    translator=replace(RECIPES["tiny"].translator, steps=800),
    sequence=replace(RECIPES["tiny"].sequence, steps=4000),
    factored=replace(RECIPES["tiny"].factored, steps=2400),
    recurrent=replace(RECIPES["tiny"].recurrent, steps=2400),
)


def lam_config(
    recipe: Recipe,
    fixed_slots: int | None = None,
    levels: tuple[int, ...] | None = None,
    quantizer: str = "fsq",
    quantizer_options: dict[str, Any] | None = None,
) -> LAMConfig:
    """Configuration of a recipe's FlexLAM, or of the Fixed-K model with `fixed_slots` slots; other FSQ levels or
    another quantizer where they are given.
    """
    lam = replace(
        recipe.sizes.lam,
        levels=recipe.sizes.lam.levels if levels is None else levels,
        quantizer=quantizer,
        quantizer_options=quantizer_options or {},
    )
    return lam if fixed_slots is None else fixed(lam, fixed_slots)
