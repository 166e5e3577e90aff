"""Stage that trains the MaskGIT prior over the codes of a frozen VQ-VAE, with which VIPER compares VideoGPT."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flexlam_rl.models.systems import saved_config
from flexlam_rl.models.videogpt.maskgit import MaskGIT, MaskGITConfig
from flexlam_rl.models.videogpt.recipes import RECIPES, sizes
from flexlam_rl.models.videogpt.stages.definitions import ClipOptions, check_clips, clip_source
from flexlam_rl.nn.pretrained import load_weights, model_digest
from flexlam_rl.train.definition import RunConfig, Splits, StageDefinition, needed
from flexlam_rl.train.loop_options import loop_config
from flexlam_rl.train.source import Source
from flexlam_rl.train.stage import SourceStage
from flexlam_rl.utils.options import whole


@dataclass(frozen=True)
class MaskGITOptions(ClipOptions):
    """Train a MaskGIT prior over the codes of a trained VQ-VAE with codes per frame."""

    vqvae_run: Path | None = field(default=None, kw_only=True)
    """Take the VQ-VAE from this run's folder instead of --out."""
    passes: int = field(default=8, kw_only=True)
    """Number of forward passes per likelihood."""

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        whole(self, "passes", 1)


@dataclass(frozen=True)
class MaskGITRun(RunConfig):
    """Configuration of the stage."""

    every: int = 1
    vqvae: str | None = None
    """Digest of the VQ-VAE."""


class MaskGITStage(SourceStage):
    """Trains by the cross-entropy of hidden codes.

    Args:
        model: The model, whose prior trains and whose VQ-VAE does not.
        source: Batches as from `ClipSource`.
        held_out: Clips, uint8 (B, T, C, H, W), never trained on.
    """

    name = "maskgit"

    def __init__(self, model: MaskGIT, source: Source, held_out: Tensor) -> None:
        super().__init__({"maskgit": model}, source)
        self.model, self.held_out = model, held_out

    def next_batch(self, device: str) -> dict[str, Tensor]:
        """Give the next batch, with its frames as codes."""
        return {"codes": self.model.encode(super().next_batch(device)["frames"])}

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        return self.model.loss(batch["codes"], generator), {}

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Compute the cross-entropy per code of the last frame of held-out clips, in nats (the loss) and in bits."""
        logs = []
        for frames in self.held_out.split(16):
            logs.append(self.model.window_log_probs(self.model.encode(frames.to(device)), last_only=True).flatten())
        nats = -float(torch.cat(logs).double().mean())
        return {"loss": nats, "bits_per_code": nats / math.log(2.0)}


def _plan(options: MaskGITOptions, splits: Splits, coming: Mapping[str, Any]) -> MaskGITRun:
    folder = needed(options, "vqvae")
    vqvae = saved_config(folder)
    check_clips(options, splits, vqvae)
    prior = sizes(options.preset, True).prior
    model = MaskGITConfig(vqvae, prior.width, prior.depth, prior.heads, prior.hidden, options.passes)
    loop = loop_config(RECIPES[options.preset].prior, options, options.out / "maskgit")
    digests = tuple(splits.train.digests)
    return MaskGITRun("maskgit", model, loop, digests, every=options.every, vqvae=model_digest(folder))


def _build(options: MaskGITOptions, config: MaskGITRun, splits: Splits) -> MaskGITStage:
    model = MaskGIT(config.model)
    load_weights(model.vqvae, needed(options, "vqvae"))
    source, held_out = clip_source(options, config, config.model.vqvae, splits)
    return MaskGITStage(model, source, held_out["frames"])


MASKGIT_STAGE = StageDefinition(
    "maskgit", "a MaskGIT prior over frames, from clips and the codes of VideoGPT's VQ-VAE",
    MaskGITOptions, _plan, _build, ("maskgit",), ("vqvae",),
)  # fmt: skip
