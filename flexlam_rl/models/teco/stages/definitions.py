"""Definitions of TECO's stages for `STAGES`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from flexlam_rl.datasets import Windows
from flexlam_rl.models.slot_model import SlotModel, latent_spec
from flexlam_rl.models.systems import load_slot_model, saved_config
from flexlam_rl.models.teco.config import PRESETS, TECOConfig, VQGANConfig, WorldConfig, direct_config
from flexlam_rl.models.teco.direct import Direct
from flexlam_rl.models.teco.recipes import RECIPES, PresetName
from flexlam_rl.models.teco.stages.coded_clips import stored_frame_codes
from flexlam_rl.models.teco.stages.dynamics import DynamicsStage
from flexlam_rl.models.teco.stages.sources import TransitionSource, held_out
from flexlam_rl.models.teco.stages.vqgan import VQGANStage
from flexlam_rl.models.teco.teco import TECO
from flexlam_rl.models.teco.vqgan import VQGAN
from flexlam_rl.nn.perceptual import network_maps
from flexlam_rl.nn.pretrained import load_weights, model_digest
from flexlam_rl.train import distributed
from flexlam_rl.train.actions import action_spec
from flexlam_rl.train.clips import check_clips
from flexlam_rl.train.definition import RunConfig, Splits, StageDefinition, needed
from flexlam_rl.train.loop_options import loop_config
from flexlam_rl.train.options import StageOptions
from flexlam_rl.utils.numbers import real
from flexlam_rl.utils.options import whole


@dataclass(frozen=True)
class VQGANOptions(StageOptions):
    """Train TECO's VQ-GAN on single frames, without actions."""

    preset: PresetName = "tiny"
    """Preset, which sets sizes, lengths and rates of both stages."""
    adversarial: float | None = field(default=None, kw_only=True)
    """Factor of the adversarial loss, in addition to its weight by gradients, instead of the preset's; 0 trains without
    a discriminator.
    """
    perceptual: str = field(default="", kw_only=True)
    """Network whose distance between pictures is added to that of the pixels: random, or torchscript:PATH, a file that
    maps pictures in [-1, 1] to a list of feature maps. Empty for none.
    """

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        if self.adversarial is not None:
            real(self.adversarial, "adversarial")


@dataclass(frozen=True)
class DynamicsOptions(StageOptions):
    """Options of TECO and of the models without latent dynamics. Sizes that are not given are the preset's."""

    preset: PresetName = "tiny"
    """Preset, which sets sizes, lengths and rates of both stages."""
    vqgan_run: Path | None = field(default=None, kw_only=True)
    """Take the VQ-GAN from this run's folder instead of --out."""
    condition: Literal["none", "actions", "latents"] = field(default="actions", kw_only=True)
    """What the model is given about each step: the action, a prefix of a LAM's latent action, or nothing."""
    lam_run: Path | None = field(default=None, kw_only=True)
    """Run or bundle of the LAM that gives the latent actions."""
    budget: int = field(default=1, kw_only=True)
    """Number of slots of each latent action (K)."""
    frames: int | None = field(default=None, kw_only=True)
    """Frames of a training clip; a model of fewer frames remembers less."""
    batch: int | None = field(default=None, kw_only=True)
    """Clips per step."""
    side: int | None = field(default=None, kw_only=True)
    """Tokens along a side of a frame in the transformer over time."""
    drop_loss: float | None = field(default=None, kw_only=True)
    """Share of the times at which prior and decoder are not trained."""
    action_dropout: float | None = field(default=None, kw_only=True)
    """Share of training clips without any action."""
    keep_codes: bool | None = field(default=None, kw_only=True)
    """Encode all frames by the VQ-GAN once, before training, and keep the codes beside the rollouts; None to do so if
    the training reads more frames than there are.
    """

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        whole(self, "budget", 1)
        whole(self, "batch", 1)
        if (self.condition == "latents") != (self.lam_run is not None):
            raise ValueError(
                f"condition is {self.condition!r} and lam_run {self.lam_run}; latents need a lam_run, others take none."
            )


@dataclass(frozen=True)
class TECOOptions(DynamicsOptions):
    """Train TECO on clips and the codes of its VQ-GAN."""


@dataclass(frozen=True)
class DirectOptions(DynamicsOptions):
    """Train a prior over the VQ-GAN's own codes, without latent dynamics."""

    prior: Literal["maskgit", "ar"] = field(default="maskgit", kw_only=True)
    """Prior: hidden codes in a few passes (maskgit), or one code after another (ar)."""


@dataclass(frozen=True)
class VQGANRun(RunConfig):
    """Configuration of stage 1."""

    adversarial: float = 1.0
    perceptual: str = ""


@dataclass(frozen=True)
class DynamicsRun(RunConfig):
    """Configuration of stage 2."""

    condition: str = "none"
    budget: int = 1
    vqgan: str | None = None
    """Digest of the VQ-GAN."""
    lam: str | None = None
    """Digest of the LAM."""


def _windows(splits: Splits, model: VQGANConfig, frames: int, actions: bool = False) -> tuple[Windows, Windows]:
    """Make training and held-out windows of `frames` frames.

    Raises:
        ValueError: The frames of rollouts and model differ in size, or all episodes are shorter.
    """
    size = (model.image_size, model.image_size, model.channels)
    train = check_clips(splits, size, frames, 1, ("action",) if actions else ())
    return train, Windows(splits.test, train.span, train.fields)


def _plan_vqgan(options: VQGANOptions, splits: Splits, coming: Mapping[str, Any]) -> VQGANRun:
    model = PRESETS[options.preset].vqgan
    _windows(splits, model, 1)
    if options.perceptual:
        network_maps(options.perceptual, model.channels)
    recipe = RECIPES[options.preset]
    loop = loop_config(recipe.vqgan, options, options.out / "vqgan")
    adversarial = recipe.adversarial if options.adversarial is None else options.adversarial
    return VQGANRun(
        "vqgan", model, loop, tuple(splits.train.digests), adversarial=adversarial, perceptual=options.perceptual,
    )  # fmt: skip


def _build_vqgan(options: VQGANOptions, config: VQGANRun, splits: Splits) -> VQGANStage:
    rank, ranks = distributed.start(options.device)
    loop, model = config.loop, VQGAN(config.model)
    train, test = _windows(splits, config.model, 1)
    source = TransitionSource(train, loop.batch, loop.seed, rank, ranks, loop.device)
    frames = held_out(test, 8 * RECIPES[options.preset].held_out)["frames"]
    maps = network_maps(config.perceptual, config.model.channels) if config.perceptual else None
    return VQGANStage(model, source, frames, max(8, config.model.base // 2), config.adversarial, maps)


def _plan_dynamics(options: DynamicsOptions, splits: Splits, coming: Mapping[str, Any], stage: str) -> DynamicsRun:
    if "vqgan" in coming:
        vqgan, digest = coming["vqgan"].model, None
    else:
        folder = needed(options, "vqgan")
        vqgan, digest = saved_config(folder), model_digest(folder)
    preset = PRESETS[options.preset].teco
    given = {name: getattr(options, name) for name in ("frames", "drop_loss", "action_dropout")}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if options.side is not None:
        changes["temporal"] = replace(preset.temporal, side=options.side)
    told, lam = _told(options, splits)
    changes |= told
    model: WorldConfig = replace(preset, vqgan=vqgan, **changes)
    if isinstance(options, DirectOptions):
        model = direct_config(replace(preset, vqgan=vqgan, **changes), options.prior)
    _windows(splits, vqgan, model.frames, options.condition == "actions")
    recipe = RECIPES[options.preset].dynamics
    recipe = replace(recipe, batch=options.batch or recipe.batch)
    loop = loop_config(recipe, options, options.out / stage)
    return DynamicsRun(
        stage, model, loop, tuple(splits.train.digests), condition=options.condition, budget=options.budget,
        vqgan=digest, lam=lam,
    )  # fmt: skip


def _told(options: DynamicsOptions, splits: Splits) -> tuple[dict[str, int], str | None]:
    """Configuration fields for the condition that the options name, and the digest of the LAM."""
    if options.condition == "none":
        return {}, None
    if options.condition == "actions":
        told = action_spec(splits.train)
        if not told.is_single:
            raise ValueError(f"condition is 'actions', which have {told.dims} dimensions here; the model takes one.")
        return {"actions": told.discrete[0]}, None
    folder = needed(options, "lam")
    spec = latent_spec(saved_config(folder))
    if spec.codes is None:
        raise ValueError(f"{folder} has continuous latent actions; expected a LAM with codes.")
    if options.budget > spec.slots:
        raise ValueError(f"budget is {options.budget}; the LAM has {spec.slots} slots.")
    return {"latents": options.budget * spec.dim}, model_digest(folder)


def _build_dynamics(options: DynamicsOptions, config: DynamicsRun, splits: Splits) -> DynamicsStage:
    rank, ranks = distributed.start(options.device)
    model: TECO | Direct = TECO(config.model) if isinstance(config.model, TECOConfig) else Direct(config.model)
    load_weights(model.vqgan, needed(options, "vqgan"))
    lam: SlotModel | None = load_slot_model(needed(options, "lam")) if options.condition == "latents" else None
    loop = config.loop
    train, test = _windows(splits, config.model.vqgan, config.model.frames, options.condition == "actions")
    kept = None
    if _keeps_codes(options, config, splits, ranks):
        kept = stored_frame_codes(model.vqgan, model_digest(needed(options, "vqgan")), splits.train, loop.device)
    source = TransitionSource(train, loop.batch, loop.seed, rank, ranks, loop.device, lam, config.lam or "", kept)
    clips = held_out(test, RECIPES[options.preset].held_out, lam, options.budget)
    return DynamicsStage(config.stage, model, source, clips, lam, options.budget)


def _keeps_codes(options: DynamicsOptions, config: DynamicsRun, splits: Splits, ranks: int) -> bool:
    if options.keep_codes is not None:
        return options.keep_codes
    read = config.loop.steps * config.loop.batch * ranks * config.model.frames
    return bool(read > sum(store.rows for store in splits.train.stores))


def _plan_teco(options: TECOOptions, splits: Splits, coming: Mapping[str, Any]) -> DynamicsRun:
    return _plan_dynamics(options, splits, coming, "teco")


def _plan_direct(options: DirectOptions, splits: Splits, coming: Mapping[str, Any]) -> DynamicsRun:
    return _plan_dynamics(options, splits, coming, "direct")


VQGAN_STAGE = StageDefinition(
    "vqgan", "TECO's VQ-GAN, from frames", VQGANOptions, _plan_vqgan, _build_vqgan, ("vqgan",)
)
TECO_STAGE = StageDefinition(
    "teco", "TECO, from clips and the codes of its VQ-GAN",
    TECOOptions, _plan_teco, _build_dynamics, ("teco",), ("vqgan",),
)  # fmt: skip
DIRECT_STAGE = StageDefinition(
    "direct", "TECO without latent dynamics: a MaskGIT or an autoregressive prior per frame",
    DirectOptions, _plan_direct, _build_dynamics, ("direct",), ("vqgan",),
)  # fmt: skip
