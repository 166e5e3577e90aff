"""Definitions of the baselines' stages for `STAGES`: inverse dynamics, behavior cloning, frozen features, and controls
of the translator.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Literal

from flexlam_rl.models.baselines.control_stage import ControlStage
from flexlam_rl.models.baselines.features import FeatureTranslator
from flexlam_rl.models.baselines.idm import IDM, BehaviourCloning
from flexlam_rl.models.flexlam.config import FeatureConfig, IDMConfig
from flexlam_rl.models.flexlam.frame_fit import fit_encoder, frame_shape
from flexlam_rl.models.flexlam.options import EncoderOptions, PresetOptions, TranslatorOptions
from flexlam_rl.models.flexlam.recipes import RECIPES
from flexlam_rl.models.flexlam.run_config import FlexLAMRun, run_config
from flexlam_rl.models.flexlam.stages.definitions import plan_translator, trained_lam
from flexlam_rl.models.flexlam.stages.translator import DirectStage
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.nn.patch_embed import frame_fields
from flexlam_rl.train.definition import Splits, StageDefinition, needed
from flexlam_rl.train.label_sets import labelled_parts, labels_of
from flexlam_rl.train.options import LabelOptions, part_of

# inputs of each model, in order, by the name of the label's column
INPUTS = {
    "idm": ("obs", "next_obs", "previous"),
    "bc": ("obs", "previous"),
    "features": ("obs", "next_obs", "previous"),
}


@dataclass(frozen=True)
class DirectOptions(PresetOptions, LabelOptions):
    """Train a model from frames to actions, without codes, on few labels."""


@dataclass(frozen=True)
class IDMOptions(EncoderOptions, DirectOptions):
    """Train the inverse dynamics model: actions from two frames and the previous action, on few labels."""


@dataclass(frozen=True)
class BCOptions(EncoderOptions, DirectOptions):
    """Train by behavior cloning: actions from a frame and the previous action, on few labels."""


@dataclass(frozen=True)
class FeatureOptions(DirectOptions):
    """Train the translator's MLP on the change of frozen visual features instead of codes, on few labels."""


@dataclass(frozen=True)
class ControlOptions(TranslatorOptions):
    """Train a control of the translator: the same model and labels, with codes that hold less information."""

    kind: Literal["random", "shuffled", "previous", "features"] = field(default="shuffled", kw_only=True)
    """Input of the control: random codes, codes of other transitions, only the previous action, or the change of frozen
    visual features (like the stage `features`).
    """

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: An option for codes is given, and the kind has no codes.
        """
        super().__post_init__()
        if self.kind == "features":
            taken = {f.name for f in fields(FeatureOptions)} | {"kind"}
            for f in fields(self):
                if f.name not in taken and getattr(self, f.name) != f.default:
                    raise ValueError(
                        f"{f.name} is {getattr(self, f.name)!r}; the kind 'features' has no codes, so leave it out."
                    )


def _plan_direct(stage: str, options: DirectOptions, splits: Splits, coming: Mapping[str, Any]) -> FlexLAMRun:
    recipe = RECIPES[options.preset]
    height, width, channels = frame_shape(splits)
    actions, rows = labels_of(options, splits.train, stage, False)
    model: Any = FeatureConfig(channels, actions, **recipe.translator_slots)
    if stage != "features":
        assert isinstance(options, EncoderOptions)
        encoder = fit_encoder(recipe.sizes.lam.encoder, (height, width), options.encoder_patch)
        model = IDMConfig(
            channels=channels, actions=actions, encoder=encoder, **frame_fields((height, width)),
            **recipe.translator_slots,
        )  # fmt: skip
    return run_config(stage, model, options, splits, labels=options.labels, label_rows=rows)


def _build_direct(options: DirectOptions, config: FlexLAMRun, splits: Splits) -> DirectStage:
    few, held_out = labelled_parts(options, splits.train)
    kinds: dict[str, Callable[[Any], Any]] = {"features": FeatureTranslator, "idm": IDM, "bc": BehaviourCloning}
    stage = config.stage
    return DirectStage(stage, kinds[stage](config.model), INPUTS[stage], few, held_out, config.loop.batch, options.seed)


def _plan_control(options: ControlOptions, splits: Splits, coming: Mapping[str, Any]) -> FlexLAMRun:
    if options.kind == "features":
        return _plan_direct("features", part_of(options, FeatureOptions), splits, coming)
    needed(options, "lam")
    return plan_translator(options.kind, options, splits, coming)


def _build_control(options: ControlOptions, config: FlexLAMRun, splits: Splits) -> DirectStage | ControlStage:
    if options.kind == "features":
        return _build_direct(part_of(options, FeatureOptions), config, splits)
    few, held_out = labelled_parts(options, splits.train)
    lam, model = trained_lam(options), Translator(config.model)
    return ControlStage(
        options.kind, model, lam, few, held_out, config.loop.batch, options.seed, options.prefix_distribution
    )


def _direct(name: str, summary: str, options: type[DirectOptions]) -> StageDefinition[Any]:
    return StageDefinition(name, summary, options, partial(_plan_direct, name), _build_direct, (name,))


IDM_STAGE = _direct("idm", "the inverse dynamics model, from few labels", IDMOptions)
BC_STAGE = _direct("bc", "behavior cloning, from few labels", BCOptions)
FEATURES_STAGE = _direct("features", "actions from the change of frozen features, from few labels", FeatureOptions)
CONTROLS_STAGE = StageDefinition(
    "controls", "the translator on codes with less information, from few labels",
    ControlOptions, _plan_control, _build_control, ("translator",), folder=lambda options: options.kind,
)  # fmt: skip
