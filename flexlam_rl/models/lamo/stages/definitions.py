"""Definitions of LaMo's stages for `STAGES`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flexlam_rl.models.lamo.config import PRESETS, LaMoConfig, MidwayConfig, PixelDecoderConfig, Predicted
from flexlam_rl.models.lamo.lamo import LaMo
from flexlam_rl.models.lamo.midway import Midway
from flexlam_rl.models.lamo.pixel_decoder import PixelDecoder
from flexlam_rl.models.lamo.recipes import RECIPES, PresetName
from flexlam_rl.models.lamo.stages.lamo import LaMoStage
from flexlam_rl.models.lamo.stages.midway import MidwayStage
from flexlam_rl.models.lamo.stages.pixel_decoder import PixelDecoderStage
from flexlam_rl.nn.density_heads import HeadName
from flexlam_rl.nn.patch_embed import fitting_patch, frame_fields, frame_size
from flexlam_rl.nn.pretrained import load_weights, model_digest
from flexlam_rl.train.clips import ClipOptions, check_clips, clip_source, held_out_clips, spread_windows
from flexlam_rl.train.definition import RunConfig, Splits, StageDefinition, needed
from flexlam_rl.train.loop_options import loop_config
from flexlam_rl.utils.numbers import real
from flexlam_rl.utils.options import whole

SCALED = 256
"""Training clips from which the scale of states and motion is computed."""


@dataclass(frozen=True)
class MidwayOptions(ClipOptions):
    """Train Midway on pairs of frames, without actions."""

    preset: PresetName = "tiny"
    """Preset, which sets sizes, lengths and rates of all stages."""
    dino_weight: float | None = field(default=None, kw_only=True)
    """Weight of the loss that keeps features from collapsing; None for the preset's."""

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        if self.dino_weight is not None:
            real(self.dino_weight, "dino_weight")


@dataclass(frozen=True)
class PixelDecoderOptions(ClipOptions):
    """Train the decoder from the states of a trained Midway to pixels."""

    preset: PresetName = "tiny"
    """Preset, which sets sizes, lengths and rates of all stages."""
    midway_run: Path | None = field(default=None, kw_only=True)
    """Take Midway from this run's folder instead of --out."""


@dataclass(frozen=True)
class LaMoOptions(ClipOptions):
    """Train LaMo, which predicts motion, on a trained Midway and its pixel decoder."""

    preset: PresetName = "tiny"
    """Preset, which sets sizes, lengths and rates of all stages."""
    lamo_decoder_run: Path | None = field(default=None, kw_only=True)
    """Take pixel decoder and Midway from this run's folder instead of --out."""
    predict: Predicted = field(default="motion", kw_only=True)
    """What is predicted: motion, or state (the baseline, which predicts the next state with the same transformer)."""
    head: HeadName = field(default="flow", kw_only=True)
    """Head: flow matching per token (flow), or a mixture with one draw for all tokens (mixture)."""
    history: int | None = field(default=None, kw_only=True)
    """Number of past motions that the model sees; None for the preset's."""
    noise: float | None = field(default=None, kw_only=True)
    """Largest standard deviation of the noise on the context; 0 for none, None for the preset's."""

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        whole(self, "history", 1)
        if self.noise is not None:
            real(self.noise, "noise")


@dataclass(frozen=True)
class LaMoRun(RunConfig):
    """Configuration of a stage."""

    every: int = 1
    midway: str | None = None
    """Digest of Midway, if the stage builds on it alone."""
    lamo_decoder: str | None = None
    """Digest of the pixel decoder with its Midway."""


def _size(model: MidwayConfig) -> tuple[int, int, int]:
    return (*frame_size(model), model.channels)


def _plan_midway(options: MidwayOptions, splits: Splits, coming: Mapping[str, Any]) -> LaMoRun:
    height, width, channels = map(int, splits.train.stores[0].frames.row)
    model = PRESETS[options.preset].midway
    patch = fitting_patch((height, width), model.patch, "encoder")
    weight = model.dino_weight if options.dino_weight is None else options.dino_weight
    model = replace(model, **frame_fields((height, width)), channels=channels, patch=patch, dino_weight=weight)
    check_clips(splits, _size(model), 2, options.every)
    loop = loop_config(RECIPES[options.preset].midway, options, options.out / "midway")
    return LaMoRun("midway", model, loop, tuple(splits.train.digests), every=options.every)


def _build_midway(options: MidwayOptions, config: LaMoRun, splits: Splits) -> MidwayStage:
    windows = check_clips(splits, _size(config.model), 2, options.every)
    source, held_out = clip_source(options, config, windows, splits, RECIPES[options.preset].held_out)
    return MidwayStage(Midway(config.model), source, held_out["frames"])


def _plan_decoder(options: PixelDecoderOptions, splits: Splits, coming: Mapping[str, Any]) -> LaMoRun:
    if "midway" in coming:
        midway, digest = coming["midway"].model, None
    else:
        folder = needed(options, "midway")
        midway, digest = Midway.saved_config(folder), model_digest(folder)
    check_clips(splits, _size(midway), 1, options.every)
    model = replace(PRESETS[options.preset].decoder, midway=midway)
    loop = loop_config(RECIPES[options.preset].decoder, options, options.out / "lamo_decoder")
    return LaMoRun("lamo_decoder", model, loop, tuple(splits.train.digests), every=options.every, midway=digest)


def _build_decoder(options: PixelDecoderOptions, config: LaMoRun, splits: Splits) -> PixelDecoderStage:
    model = PixelDecoder(config.model)
    load_weights(model.midway, needed(options, "midway"))
    windows = check_clips(splits, _size(config.model.midway), 1, options.every)
    source, held_out = clip_source(options, config, windows, splits, RECIPES[options.preset].held_out)
    return PixelDecoderStage(model, source, held_out["frames"])


def _plan_lamo(options: LaMoOptions, splits: Splits, coming: Mapping[str, Any]) -> LaMoRun:
    decoder: PixelDecoderConfig
    if "lamo_decoder" in coming:
        decoder, digest = coming["lamo_decoder"].model, None
    else:
        folder = needed(options, "lamo_decoder")
        decoder, digest = PixelDecoder.saved_config(folder), model_digest(folder)
    sizes = PRESETS[options.preset].lamo
    model = replace(
        sizes, decoder=decoder, predict=options.predict, head=options.head,
        history=sizes.history if options.history is None else options.history,
        noise=sizes.noise if options.noise is None else options.noise,
    )  # fmt: skip
    check_clips(splits, _size(decoder.midway), model.frames, options.every)
    loop = loop_config(RECIPES[options.preset].lamo, options, options.out / "lamo")
    return LaMoRun("lamo", model, loop, tuple(splits.train.digests), every=options.every, lamo_decoder=digest)


def _build_lamo(options: LaMoOptions, config: LaMoRun, splits: Splits) -> LaMoStage:
    wanted: LaMoConfig = config.model
    model = LaMo(wanted)
    load_weights(model.pixels, needed(options, "lamo_decoder"))
    windows = check_clips(splits, _size(wanted.midway), wanted.frames, options.every)
    source, held_out = clip_source(options, config, windows, splits, RECIPES[options.preset].held_out)
    count = min(SCALED, len(windows))
    model.fit_scale(
        held_out_clips(spread_windows(splits.train, wanted.frames, options.every), options.every, count)["frames"]
    )
    return LaMoStage(model, source, held_out["frames"])


MIDWAY_STAGE = StageDefinition(
    "midway", "the Midway network: motion between frames by levels, from pairs of frames",
    MidwayOptions, _plan_midway, _build_midway, ("midway",),
)  # fmt: skip
DECODER_STAGE = StageDefinition(
    "lamo_decoder", "pixels from the states of a Midway network, from frames",
    PixelDecoderOptions, _plan_decoder, _build_decoder, ("lamo_decoder",), ("midway",),
)  # fmt: skip
LAMO_STAGE = StageDefinition(
    "lamo", "LaMo: the next motion from the last ones and the state, from clips",
    LaMoOptions, _plan_lamo, _build_lamo, ("lamo",), ("lamo_decoder",),
)  # fmt: skip
