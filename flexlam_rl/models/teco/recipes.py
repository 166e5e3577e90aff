"""Training recipes of TECO's stages, by preset (dissertation, appendix B.14)."""

from dataclasses import dataclass
from typing import Any, Literal

from flexlam_rl.train.trainer import LoopConfig

PresetName = Literal["paper", "tiny", "debug"]


@dataclass(frozen=True)
class Recipe:
    """Training of both stages, and the size of evaluations."""

    vqgan: LoopConfig
    dynamics: LoopConfig
    held_out: int
    """Number of held-out clips in an evaluation, or of frames for the VQ-GAN."""
    adversarial: float = 1.0
    """Factor of the VQ-GAN's adversarial loss, in addition to its weight by gradients."""


_LONG: dict[str, Any] = {"precision": "bf16", "eval_every": 5000, "save_every": 2500, "log_every": 100}
RECIPES: dict[str, Recipe] = {
    # the length of the first stage and the weight decay are not given
    "paper": Recipe(
        LoopConfig(steps=500_000, batch=64, lr=3e-4, warmup=1000, weight_decay=0.0, **_LONG),
        LoopConfig(steps=1_000_000, batch=32, lr=1e-4, warmup=10_000, weight_decay=0.0, **_LONG),
        128,
    ),
    # two cores, up to half an hour per stage; in bf16 where the CPU multiplies it in hardware. The VQ-GAN trains
    # without a discriminator, with which its pictures lose their colors at this size (docs/world-models.md)
    "tiny": Recipe(
        LoopConfig(
            steps=3000,
            batch=16,
            lr=1e-3,
            warmup=100,
            weight_decay=0.0,
            precision="bf16",
            eval_every=500,
            save_every=250,
            log_every=50,
        ),
        LoopConfig(
            steps=1200,
            batch=4,
            lr=3e-3,
            warmup=50,
            weight_decay=0.0,
            precision="bf16",
            eval_every=400,
            save_every=100,
            log_every=25,
        ),
        8,
        adversarial=0.0,
    ),
    "debug": Recipe(
        LoopConfig(steps=6, batch=2, lr=1e-3, warmup=2, weight_decay=0.0, eval_every=6, save_every=3, log_every=2),
        LoopConfig(steps=6, batch=2, lr=1e-3, warmup=2, weight_decay=0.0, eval_every=6, save_every=3, log_every=2),
        3,
    ),
}
