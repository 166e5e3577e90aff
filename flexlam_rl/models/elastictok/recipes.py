"""Training recipes of ElasticTok's stages, by preset (dissertation, appendix C.2)."""

from dataclasses import dataclass, replace
from typing import Any

from flexlam_rl.models.elastictok.config import PresetName
from flexlam_rl.train.trainer import LoopConfig


@dataclass(frozen=True)
class Row:
    """Settings that depend on the number of blocks: a column of the table in appendix C.2."""

    steps: int
    batch: int
    warmup: int
    images: float = 0.0
    """Share of clips in which each block is one frame, repeated."""


@dataclass(frozen=True)
class Recipe:
    """Training of both stages."""

    loop: LoopConfig
    rows: dict[int, Row]
    """Settings by the smallest number of blocks to which they apply."""
    regressor: LoopConfig
    held_out: int
    """Number of held-out clips in an evaluation, for clips of one block."""

    def row(self, blocks: int) -> Row:
        """Give the settings for a number of blocks."""
        return self.rows[max(count for count in self.rows if count <= blocks)]

    def tokenizer(self, blocks: int) -> LoopConfig:
        """Make the autoencoder's loop configuration for clips of `blocks` blocks."""
        row = self.row(blocks)
        return replace(self.loop, steps=row.steps, batch=row.batch, warmup=row.warmup)


_LONG: dict[str, Any] = {"precision": "bf16", "eval_every": 5000, "save_every": 2500, "log_every": 100}
_SHORT: dict[str, Any] = {"eval_every": 200, "save_every": 100, "log_every": 25}
RECIPES: dict[PresetName, Recipe] = {
    "paper": Recipe(
        LoopConfig(lr=2e-4, weight_decay=1e-4, **_LONG),
        {  # "Video (1)" to "Video (7)"
            1: Row(200_000, 256, 10_000, 0.5),
            2: Row(80_000, 256, 5_000, 0.5),
            4: Row(50_000, 256, 2_000, 0.25),
            16: Row(10_000, 64, 1_000, 0.25),
            64: Row(1_000, 16, 200, 0.25),
            128: Row(500, 8, 100, 0.25),
            256: Row(200, 4, 25, 0.25),
        },
        # 100,000 pairs of a block and its length; the learning rates are not given
        LoopConfig(steps=390, batch=256, lr=2e-4, warmup=20, weight_decay=1e-4, **(_LONG | {"eval_every": 130})),
        256,
    ),
    # two cores, minutes per stage
    "tiny": Recipe(
        LoopConfig(lr=2e-3, weight_decay=1e-4, **_SHORT),
        {1: Row(1200, 16, 50), 2: Row(300, 8, 20), 4: Row(200, 4, 20)},
        LoopConfig(steps=200, batch=8, lr=5e-4, warmup=20, weight_decay=1e-4, **_SHORT),
        64,
    ),
    "debug": Recipe(
        LoopConfig(lr=2e-3, weight_decay=1e-4, eval_every=4, save_every=3, log_every=2),
        {1: Row(8, 4, 2), 2: Row(6, 2, 2, 0.5)},
        LoopConfig(steps=6, batch=2, lr=1e-3, warmup=2, eval_every=6, save_every=3, log_every=2),
        4,
    ),
}
