"""Definitions of VideoGPT's stages for `STAGES`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from flexlam_rl.models.slot_model import SlotModel, latent_spec
from flexlam_rl.models.systems import load_slot_model, saved_config
from flexlam_rl.models.videogpt.config import Box, PriorConfig, VideoGPTConfig, VQVAEConfig
from flexlam_rl.models.videogpt.recipes import RECIPES, PresetName, sizes
from flexlam_rl.models.videogpt.stages.videogpt import VideoGPTStage
from flexlam_rl.models.videogpt.stages.vqvae import VQVAEStage
from flexlam_rl.models.videogpt.videogpt import VideoGPT
from flexlam_rl.models.videogpt.vqvae import VQVAE
from flexlam_rl.nn.pretrained import load_weights, model_digest
from flexlam_rl.train import clips
from flexlam_rl.train.actions import action_spec
from flexlam_rl.train.clips import ClipSource, data_variance
from flexlam_rl.train.definition import RunConfig, Splits, StageDefinition, needed
from flexlam_rl.train.loop_options import loop_config
from flexlam_rl.utils.options import whole

Condition = Literal["none", "actions", "latents", "tasks"]


@dataclass(frozen=True)
class ClipOptions(clips.ClipOptions):
    """Train on clips. VIPER skips frames (`every`) in environments with fast control."""

    preset: PresetName = "tiny"
    """Preset, which sets sizes, lengths and rates of both stages."""


@dataclass(frozen=True)
class VQVAEOptions(ClipOptions):
    """Train VideoGPT's VQ-VAE on clips, without actions. Sizes that are not given are the preset's."""

    per_frame: bool = field(default=False, kw_only=True)
    """Make each frame's codes depend only on that frame, as rewards per frame need."""
    frames: int | None = field(default=None, kw_only=True)
    """Frames per clip."""
    down_time: int | None = field(default=None, kw_only=True)
    """Number of frames that share codes."""
    down_space: int | None = field(default=None, kw_only=True)
    """Pixels along a side that share codes."""
    codes: int | None = field(default=None, kw_only=True)
    """Number of codes in each codebook."""
    codebooks: int | None = field(default=None, kw_only=True)
    """Number of codebooks, and so of codes per place of the grid."""
    blocks: int | None = field(default=None, kw_only=True)
    """Number of residual blocks in the encoder, and in the decoder."""
    attention: bool = field(default=True, kw_only=True)
    """Use axial attention in the residual blocks."""
    normalise: bool = field(default=True, kw_only=True)
    """Divide the squared error by the data's variance."""
    mask: Box | None = field(default=None, kw_only=True)
    """Rectangle of pixels that the model does not see, such as a score board: top, bottom, left and right."""


@dataclass(frozen=True)
class VideoGPTOptions(ClipOptions):
    """Train VideoGPT's prior over the codes of a trained VQ-VAE."""

    vqvae_run: Path | None = field(default=None, kw_only=True)
    """Take the VQ-VAE from this run's folder instead of --out."""
    condition: Condition = field(default="none", kw_only=True)
    """What the prior is conditioned on: the actions, latent actions of a LAM, the task, or nothing."""
    lam_run: Path | None = field(default=None, kw_only=True)
    """Run or bundle of the LAM that gives the latent actions."""
    budget: int = field(default=1, kw_only=True)
    """Number of slots of each latent action."""
    context_frames: int = field(default=0, kw_only=True)
    """Number of first frames that the prior sees through a 3D ResNet."""
    depth: int | None = field(default=None, kw_only=True)
    """Number of layers; None for the preset's."""
    attention: Literal["full", "sparse"] = field(default="full", kw_only=True)
    """Attention to all earlier codes (full), or a Sparse Transformer's local and strided attention (sparse)."""

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        whole(self, "budget", 1)
        whole(self, "context_frames", 0)
        whole(self, "depth", 1)
        if (self.condition == "latents") != (self.lam_run is not None):
            raise ValueError(
                f"condition is {self.condition!r} and lam_run {self.lam_run}; latents need a lam_run, others take none."
            )
        if self.condition in ("actions", "latents") and self.every != 1:
            raise ValueError(f"every is {self.every}; clips with {self.condition} need consecutive frames, every 1.")


@dataclass(frozen=True)
class VQVAERun(RunConfig):
    """Configuration of stage 1."""

    every: int = 1


@dataclass(frozen=True)
class VideoGPTRun(RunConfig):
    """Configuration of stage 2."""

    every: int = 1
    condition: str = "none"
    budget: int = 1
    vqvae: str | None = None
    """Digest of the VQ-VAE."""
    lam: str | None = None
    """Digest of the LAM."""


def _plan_vqvae(options: VQVAEOptions, splits: Splits, coming: Mapping[str, Any]) -> VQVAERun:
    preset = sizes(options.preset, options.per_frame).vqvae
    named = ("frames", "down_time", "down_space", "codes", "codebooks", "blocks")
    given = {name: getattr(options, name) for name in named if getattr(options, name) is not None}
    model = replace(preset, attention=options.attention, normalise=options.normalise, mask=options.mask, **given)
    windows = check_clips(options, splits, model)
    model = replace(model, variance=data_variance(windows))
    loop = loop_config(RECIPES[options.preset].vqvae, options, options.out / "vqvae")
    return VQVAERun("vqvae", model, loop, tuple(splits.train.digests), every=options.every)


def _build_vqvae(options: VQVAEOptions, config: VQVAERun, splits: Splits) -> VQVAEStage:
    source, held_out = clip_source(options, config, config.model, splits)
    return VQVAEStage(VQVAE(config.model), source, held_out["frames"])


def _plan_videogpt(options: VideoGPTOptions, splits: Splits, coming: Mapping[str, Any]) -> VideoGPTRun:
    if "vqvae" in coming:
        vqvae, digest = coming["vqvae"].model, None
    else:
        folder = needed(options, "vqvae")
        vqvae, digest = saved_config(folder), model_digest(folder)
    check_clips(options, splits, vqvae)
    prior = replace(
        sizes(options.preset, vqvae.per_frame).prior, attention=options.attention, context_frames=options.context_frames
    )
    if options.context_frames >= vqvae.frames:
        raise ValueError(f"context_frames is {options.context_frames}; expected fewer than a clip's {vqvae.frames}.")
    if options.depth is not None:
        prior = replace(prior, depth=options.depth)
    prior, lam = _conditioned(prior, options, splits)
    loop = loop_config(RECIPES[options.preset].prior, options, options.out / "videogpt")
    return VideoGPTRun(
        "videogpt", VideoGPTConfig(vqvae, prior), loop, tuple(splits.train.digests),
        every=options.every, condition=options.condition, budget=options.budget, vqvae=digest, lam=lam,
    )  # fmt: skip


def _conditioned(prior: PriorConfig, options: VideoGPTOptions, splits: Splits) -> tuple[PriorConfig, str | None]:
    """Configuration of the prior with the conditions that the options name, and the digest of the LAM."""
    if options.condition == "actions":
        told = action_spec(splits.train)
        if not told.is_single:
            raise ValueError(f"condition is 'actions', which have {told.dims} dimensions here; the prior takes one.")
        return replace(prior, actions=told.discrete[0]), None
    if options.condition == "tasks":
        return replace(prior, tasks=tuple(store.level for store in splits.train.stores)), None
    if options.condition == "none":
        return prior, None
    folder = needed(options, "lam")
    spec = latent_spec(saved_config(folder))
    if options.budget > spec.slots:
        raise ValueError(f"budget is {options.budget}; the LAM has {spec.slots} slots.")
    return replace(prior, latents=options.budget * spec.dim), model_digest(folder)


def _build_videogpt(options: VideoGPTOptions, config: VideoGPTRun, splits: Splits) -> VideoGPTStage:
    model = VideoGPT(config.model)
    load_weights(model.vqvae, needed(options, "vqvae"))
    lam: SlotModel | None = load_slot_model(needed(options, "lam")) if options.condition == "latents" else None
    source, held_out = clip_source(options, config, config.model.vqvae, splits)
    return VideoGPTStage(model, source, held_out, lam, options.budget)


def check_clips(options: ClipOptions, splits: Splits, model: VQVAEConfig) -> Any:
    """Check that the rollouts fit the model, and give the windows of the training data; see `train.clips`."""
    size = (model.image_size, model.image_size, model.channels)
    fields = ("action",) if getattr(options, "condition", "none") == "actions" else ()
    return clips.check_clips(splits, size, model.frames, options.every, fields)


def clip_source(
    options: ClipOptions, config: RunConfig, model: VQVAEConfig, splits: Splits
) -> tuple[ClipSource, dict[str, Any]]:
    """Make a stage's source of batches and its held-out clips."""
    windows, tasks = check_clips(options, splits, model), getattr(options, "condition", "none") == "tasks"
    return clips.clip_source(options, config, windows, splits, RECIPES[options.preset].held_out, tasks)


VQVAE_STAGE = StageDefinition(
    "vqvae", "VideoGPT's VQ-VAE, from clips", VQVAEOptions, _plan_vqvae, _build_vqvae, ("vqvae",)
)
VIDEOGPT_STAGE = StageDefinition(
    "videogpt", "VideoGPT's prior, from clips and the codes of its VQ-VAE",
    VideoGPTOptions, _plan_videogpt, _build_videogpt, ("videogpt",), ("vqvae",),
)  # fmt: skip
