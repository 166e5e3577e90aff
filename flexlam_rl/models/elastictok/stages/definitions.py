"""Definitions of ElasticTok's stages for `STAGES`."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from flexlam_rl.models.elastictok.config import PRESETS, Bottleneck, ElasticTokConfig, PresetName, RegressorConfig
from flexlam_rl.models.elastictok.elastictok import ElasticTok
from flexlam_rl.models.elastictok.recipes import RECIPES
from flexlam_rl.models.elastictok.regressor import LengthRegressor
from flexlam_rl.models.elastictok.stages.regressor import RegressorStage
from flexlam_rl.models.elastictok.stages.tokenizer import ElasticTokStage
from flexlam_rl.models.systems import saved_config
from flexlam_rl.nn.patch_embed import frame_size
from flexlam_rl.nn.perceptual import network_maps
from flexlam_rl.nn.pretrained import model_digest
from flexlam_rl.train.clips import ClipOptions, check_clips, clip_source
from flexlam_rl.train.definition import RunConfig, Splits, StageDefinition, needed
from flexlam_rl.train.initial import initial_folders
from flexlam_rl.train.loop_options import loop_config
from flexlam_rl.utils.numbers import real
from flexlam_rl.utils.options import whole

GROWN = {"blocks", "least", "most"}
"""Fields that may change when a model starts from the weights of another one."""


@dataclass(frozen=True)
class ElasticTokOptions(ClipOptions):
    """Train ElasticTok's autoencoder on clips, without actions.

    With `--blocks` and `--init RUN`, training continues a run with fewer blocks on longer clips.
    """

    preset: PresetName = "tiny"
    """Preset, which sets sizes, lengths and rates."""
    bottleneck: Bottleneck = field(default="fsq", kw_only=True)
    """Bottleneck: discrete codes (fsq), or numbers near a normal distribution (vae)."""
    blocks: int = field(default=1, kw_only=True)
    """Blocks per clip."""
    length: int | None = field(default=None, kw_only=True)
    """Always keep this number of tokens per block (a baseline of constant length)."""
    least: int | None = field(default=None, kw_only=True)
    """Shortest prefix; None for the preset's."""
    images: float | None = field(default=None, kw_only=True)
    """Share of clips in which each block is one frame, repeated; None for the preset's."""
    perceptual: str = field(default="", kw_only=True)
    """Network whose distance between pictures is added to the squared error: random, or torchscript:PATH, a file that
    maps pictures in [-1, 1] to a list of feature maps. Empty for none.
    """
    perceptual_weight: float = field(default=0.1, kw_only=True)
    """Weight of that distance."""

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        real(self.perceptual_weight, "perceptual_weight")
        for name in ("blocks", "length", "least"):
            whole(self, name, 1)
        if self.images is not None and not 0.0 <= self.images <= 1.0:
            raise ValueError(f"images is {self.images}; expected a share from 0 to 1.")
        if self.length is not None and self.least is not None:
            raise ValueError(f"length is {self.length} and least {self.least}; give only one of them.")


@dataclass(frozen=True)
class RegressorOptions(ClipOptions):
    """Train the regressor of lengths of a trained ElasticTok, on lengths that a search finds."""

    preset: PresetName = "tiny"
    """Preset, which sets lengths and rates."""
    elastictok_run: Path | None = field(default=None, kw_only=True)
    """Take the autoencoder from this run's folder instead of --out."""
    low: float = field(default=RegressorConfig.low, kw_only=True)
    """Smallest threshold, as a mean squared error of a block with values in [-1, 1]."""
    high: float = field(default=RegressorConfig.high, kw_only=True)
    """Largest threshold."""
    search: Literal["binary", "full"] = field(default="binary", kw_only=True)
    """Kind of search that finds the lengths to learn."""


@dataclass(frozen=True)
class ElasticTokRun(RunConfig):
    """Configuration of the autoencoder's stage."""

    every: int = 1
    images: float = 0.0
    perceptual: str = ""
    perceptual_weight: float = 0.1


@dataclass(frozen=True)
class RegressorRun(RunConfig):
    """Configuration of the regressor's stage."""

    every: int = 1
    search: str = "binary"
    elastictok: str | None = None
    """Digest of the autoencoder."""


def _model(options: ElasticTokOptions) -> ElasticTokConfig:
    model = replace(PRESETS[options.preset, options.bottleneck], blocks=options.blocks)
    if options.length is not None:
        return replace(model, least=options.length, most=options.length)
    return model if options.least is None else replace(model, least=options.least)


def _size(model: ElasticTokConfig) -> tuple[int, int, int]:
    return (*frame_size(model), model.channels)


def _plan_tokenizer(options: ElasticTokOptions, splits: Splits, coming: Mapping[str, Any]) -> ElasticTokRun:
    model, recipe = _model(options), RECIPES[options.preset]
    check_clips(splits, _size(model), model.frames * model.blocks, options.every)
    if options.init is not None:
        _check_initial(options, model)
    loop = loop_config(recipe.tokenizer(model.blocks), options, options.out / "elastictok")
    images = recipe.row(model.blocks).images if options.images is None else options.images
    if options.perceptual:
        network_maps(options.perceptual, model.channels)
    return ElasticTokRun(
        "elastictok", model, loop, tuple(splits.train.digests), every=options.every, images=images,
        perceptual=options.perceptual, perceptual_weight=options.perceptual_weight,
    )  # fmt: skip


def _check_initial(options: ElasticTokOptions, model: ElasticTokConfig) -> None:
    """Refuse weights of a model that differs in more than blocks and lengths.

    Raises:
        ValueError: The models differ; the sentence says where.
    """
    folder = initial_folders(ELASTICTOK_STAGE, options)["elastictok"]
    other = ElasticTok.saved_config(folder)
    for one in dataclasses.fields(model):
        before, now = getattr(other, one.name), getattr(model, one.name)
        if before != now and one.name not in GROWN:
            raise ValueError(f"{one.name} is {before!r} in {folder} and {now!r} here; init needs the same.")
    if other.blocks > model.blocks:
        raise ValueError(f"blocks is {other.blocks} in {folder} and {model.blocks} here; expected at least as many.")


def _build_tokenizer(options: ElasticTokOptions, config: ElasticTokRun, splits: Splits) -> ElasticTokStage:
    model = config.model
    windows = check_clips(splits, _size(model), model.frames * model.blocks, options.every)
    count = max(1, RECIPES[options.preset].held_out // model.blocks)
    source, held_out = clip_source(options, config, windows, splits, count)
    maps = network_maps(config.perceptual, model.channels) if config.perceptual else None
    return ElasticTokStage(ElasticTok(model), source, held_out["frames"], config.images, maps, config.perceptual_weight)


def _plan_regressor(options: RegressorOptions, splits: Splits, coming: Mapping[str, Any]) -> RegressorRun:
    if "elastictok" in coming:
        tokenizer, digest = coming["elastictok"].model, None
    else:
        folder = needed(options, "elastictok")
        tokenizer, digest = saved_config(folder), model_digest(folder)
    model = RegressorConfig(tokenizer, options.low, options.high)
    check_clips(splits, _size(tokenizer), tokenizer.frames * tokenizer.blocks, options.every)
    loop = loop_config(RECIPES[options.preset].regressor, options, options.out / "elastictok_regressor")
    digests = tuple(splits.train.digests)
    return RegressorRun(
        "elastictok_regressor", model, loop, digests, every=options.every, search=options.search, elastictok=digest
    )


def _build_regressor(options: RegressorOptions, config: RegressorRun, splits: Splits) -> RegressorStage:
    tokenizer = ElasticTok.from_pretrained(needed(options, "elastictok"))
    model, size = LengthRegressor(config.model), tokenizer.config
    model.begin_as(tokenizer)
    windows = check_clips(splits, _size(size), size.frames * size.blocks, options.every)
    count = max(1, RECIPES[options.preset].held_out // size.blocks)
    source, held_out = clip_source(options, config, windows, splits, count)
    return RegressorStage(model, tokenizer, source, held_out["frames"], options.search)


ELASTICTOK_STAGE = StageDefinition(
    "elastictok", "ElasticTok, an autoencoder of clips that keeps any number of codes",
    ElasticTokOptions, _plan_tokenizer, _build_tokenizer, ("elastictok",),
)  # fmt: skip
REGRESSOR_STAGE = StageDefinition(
    "elastictok_regressor", "the number of ElasticTok's codes that a clip needs, from clips and a search",
    RegressorOptions, _plan_regressor, _build_regressor, ("elastictok_regressor",), ("elastictok",),
)  # fmt: skip
