"""Training recipes of LaMo's stages, by preset."""

from dataclasses import dataclass
from typing import Any, Literal

from flexlam_rl.train.trainer import LoopConfig

PresetName = Literal["paper", "tiny", "debug"]


@dataclass(frozen=True)
class Recipe:
    """Training of the three stages."""

    midway: LoopConfig
    decoder: LoopConfig
    lamo: LoopConfig
    held_out: int
    """Number of held-out clips in an evaluation."""


_LONG: dict[str, Any] = {"precision": "bf16", "eval_every": 5000, "save_every": 2500, "log_every": 100, "ema": 0.999}
_TINY: dict[str, Any] = {"warmup": 50, "eval_every": 250, "save_every": 250, "log_every": 50}
_DEBUG: dict[str, Any] = {
    "steps": 8, "batch": 4, "lr": 1e-3, "warmup": 2, "eval_every": 8, "save_every": 3, "log_every": 2,
}  # fmt: skip
RECIPES: dict[str, Recipe] = {
    # rates are the papers', which give epochs of another data set instead of steps, and no batch size
    "paper": Recipe(
        LoopConfig(steps=200_000, batch=128, lr=5e-4, warmup=5000, **_LONG | {"ema": 0.0}),
        LoopConfig(steps=50_000, batch=128, lr=3e-4, warmup=1000, **_LONG),
        LoopConfig(steps=200_000, batch=64, lr=1.5e-4, warmup=2000, **_LONG),
        256,
    ),
    # two cores, minutes per stage
    "tiny": Recipe(
        LoopConfig(steps=3000, batch=16, lr=1e-3, **_TINY),
        LoopConfig(steps=2000, batch=32, lr=1e-3, **_TINY, ema=0.99),
        LoopConfig(steps=2000, batch=16, lr=1e-3, **_TINY, ema=0.99),
        64,
    ),
    "debug": Recipe(LoopConfig(**_DEBUG), LoopConfig(**_DEBUG, ema=0.5), LoopConfig(**_DEBUG, ema=0.5), 4),
}
