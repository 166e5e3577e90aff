"""Training recipes of VideoGPT's stages, by preset."""

from dataclasses import dataclass
from typing import Any, Literal

from flexlam_rl.models.videogpt.config import PRESETS, VIPER_PRESETS, Preset
from flexlam_rl.train.trainer import LoopConfig

PresetName = Literal["paper", "tiny", "debug"]


@dataclass(frozen=True)
class Recipe:
    """Training of both stages."""

    vqvae: LoopConfig
    prior: LoopConfig
    held_out: int
    """Number of held-out clips in an evaluation."""


_LONG: dict[str, Any] = {"precision": "bf16", "eval_every": 5000, "save_every": 2500, "log_every": 100}
RECIPES: dict[str, Recipe] = {
    # tables A.1 and A.2, which do not name the optimizer
    "paper": Recipe(
        LoopConfig(steps=100_000, batch=32, lr=7e-4, warmup=1000, weight_decay=0.0, **_LONG),
        LoopConfig(steps=150_000, batch=32, lr=3e-4, warmup=2000, **_LONG),
        256,
    ),
    # two cores, minutes per stage
    "tiny": Recipe(
        LoopConfig(
            steps=1500, batch=8, lr=2e-3, warmup=50, weight_decay=0.0, eval_every=250, save_every=250, log_every=50
        ),
        LoopConfig(steps=2500, batch=16, lr=1e-3, warmup=100, eval_every=250, save_every=250, log_every=50),
        64,
    ),
    "debug": Recipe(
        LoopConfig(steps=8, batch=2, lr=1e-3, warmup=2, weight_decay=0.0, eval_every=8, save_every=3, log_every=2),
        LoopConfig(steps=8, batch=2, lr=1e-3, warmup=2, eval_every=8, save_every=3, log_every=2),
        4,
    ),
}


def sizes(preset: PresetName, per_frame: bool) -> Preset:
    """Give the sizes of a preset, for a model of clips or one with codes per frame."""
    return (VIPER_PRESETS if per_frame else PRESETS)[preset]
