"""Definitions of FlexLAM's stages for `STAGES`: latent action model, sequence model, translator, joint alignment."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flexlam_rl.datasets import Windows
from flexlam_rl.models.flexlam.cached_codes import stored_codes
from flexlam_rl.models.flexlam.code_clusters import code_clusters
from flexlam_rl.models.flexlam.config import TranslatorConfig
from flexlam_rl.models.flexlam.frame_fit import fit_lam, fit_prior, frame_shape
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.options import (
    CodeOptions,
    JointOptions,
    LAMOptions,
    SequenceOptions,
    TranslatorOptions,
)
from flexlam_rl.models.flexlam.priors import CONTINUOUS, OVER_TIME, PRIORS
from flexlam_rl.models.flexlam.recipes import RECIPES, lam_config
from flexlam_rl.models.flexlam.run_config import FlexLAMRun, run_config, windows
from flexlam_rl.models.flexlam.stages.continuous import ContinuousStage, take_scale
from flexlam_rl.models.flexlam.stages.lam import LAMStage
from flexlam_rl.models.flexlam.stages.sequence import SequenceStage
from flexlam_rl.models.flexlam.stages.translator import TranslatorStage
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.models.interfaces import LatentSpec
from flexlam_rl.models.slot_model import SlotModel, latent_spec
from flexlam_rl.models.systems import load_slot_model, saved_config
from flexlam_rl.nn.patch_embed import fitting_patch, frame_fields
from flexlam_rl.nn.pretrained import model_digest
from flexlam_rl.train import data, distributed
from flexlam_rl.train.definition import Splits, StageDefinition, needed
from flexlam_rl.train.label_sets import labelled_parts, labels_of
from flexlam_rl.train.options import StageOptions
from flexlam_rl.train.preflight import check_writable
from flexlam_rl.utils.options import named_values

Coming = Mapping[str, Any]
SCALED = 1024
"""Training transitions from which the continuous prior takes the scale of slot vectors."""


def lam_of(options: CodeOptions, coming: Coming) -> tuple[LatentSpec, str | None]:
    """Latent actions of the model that a stage builds on, and the model's digest if it has been trained."""
    if "lam" in coming:
        return latent_spec(coming["lam"].model), None
    folder = needed(options, "lam")
    return latent_spec(saved_config(folder)), model_digest(folder)


def _plan_lam(options: LAMOptions, splits: Splits, coming: Coming) -> FlexLAMRun:
    if options.cache is not None:
        check_writable(options.cache)
    chosen = named_values(options.quantizer_options, "quantizer_options")
    model = lam_config(RECIPES[options.preset], options.fixed, options.fsq_levels, options.quantizer, chosen)
    if options.lam_slots is not None:
        model = replace(model, slots=options.lam_slots)
    model = fit_lam(model, frame_shape(splits), options.encoder_patch, options.decoder_patch)
    latent_spec(model)  # refuses options that the quantizer does not take
    return run_config("lam", model, options, splits)


def _build_lam(options: LAMOptions, config: FlexLAMRun, splits: Splits) -> LAMStage:
    rank, ranks = distributed.start(options.device)
    source = data.PairSource(
        splits.train, config.loop.batch, options.seed, rank, ranks, options.cache, device=config.loop.device
    )
    held_out = data.held_out_pairs(splits.test, RECIPES[options.preset].held_out)
    return LAMStage(LAM(config.model), source, held_out, prefix_distribution=options.prefix_distribution)


def _plan_sequence(options: SequenceOptions, splits: Splits, coming: Coming) -> FlexLAMRun:
    lam, digest = lam_of(options, coming)
    continuous = options.prior in CONTINUOUS
    if lam.codes is None and not continuous:
        raise ValueError(
            f"the sequence model cannot be trained: the LAM's latent actions are vectors of {lam.dim} numbers, and it "
            "predicts codes, as of the quantizers fsq and vq (--prior continuous and --prior mixture predict vectors; "
            "the stages lam and translator need no prior)."
        )
    recipe = RECIPES[options.preset]
    short, longest, long_share = windows(options)
    for rollouts in (splits.train, splits.test):
        for length in {short, longest}:
            Windows(rollouts, length)  # refuses rollouts whose episodes are all shorter
    targets = options.targets or recipe.targets
    codes = lam.codes or 0  # priors over codes never get a LAM with continuous latent actions
    model: Any
    if continuous:
        sizes = recipe.continuous_sizes
        model = replace(
            sizes, slots=lam.slots, dim=lam.dim, codes=lam.codes, frames=longest - 1,
            head="mixture" if options.prior == "mixture" else "flow",
            noise=sizes.noise if options.history_noise is None else options.history_noise,
        )  # fmt: skip
    elif options.prior in OVER_TIME:
        model = recipe.recurrent_sizes if options.prior == "recurrent" else recipe.factored_sizes
        model = replace(model, slots=lam.slots, codes=codes, frames=longest - 1)
    else:
        usual = recipe.sizes.sequence
        # a model that is never trained on long contexts must not meet them in play
        frames = longest if long_share else longest - 1
        model = replace(usual, slots=lam.slots, codes=codes, stem=options.stem or usual.stem, frames=frames)
    model = fit_prior(model, frame_shape(splits), options.sequence_patch)
    return run_config(
        "sequence", model, options, splits, prior=options.prior, long_share=options.long_share,
        targets=None if targets == "blocks" else targets, lam=digest,
        drop_frames=options.drop_frames, drop_blocks=options.drop_blocks,
    )  # fmt: skip


def trained_lam(options: StageOptions) -> SlotModel:
    """Load the latent action model that a stage builds on.

    Raises:
        CheckpointError: The folder holds something else, or is damaged.
    """
    lam = load_slot_model(needed(options, "lam"))
    # recorded runs drew a LAM's weights here before their own; without this, the same seed would give other models
    type(lam)(lam.config)
    return lam


def _build_sequence(options: SequenceOptions, config: FlexLAMRun, splits: Splits) -> SequenceStage | ContinuousStage:
    recipe, (rank, ranks) = RECIPES[options.preset], distributed.start(options.device)
    short, longest, long_share = windows(options)
    short_steps = int(config.loop.steps * (1 - long_share))
    batch, whole_batch = config.loop.batch, None
    if options.prior in OVER_TIME:  # the batch counts whole windows; short ones get as many decisions per step
        batch, whole_batch = batch * (longest - 1) // (short - 1), batch
    lam, codes = trained_lam(options), None
    if options.encode_once and lam.latent.codes is not None:
        codes = stored_codes(lam, model_digest(needed(options, "lam")), splits.train, config.loop.device)
    source = data.CurriculumSource(
        splits.train, batch, short, longest, short_steps, options.seed, rank, ranks,
        device=config.loop.device, codes=codes, long_batch=whole_batch,
    )  # fmt: skip
    held_out = data.held_out_windows(splits.test, max(4, recipe.held_out // longest), longest)
    model = PRIORS[options.prior].model(config.model)
    rest = (lam, source, held_out, options.targets or recipe.targets, options.drop_frames, options.drop_blocks)
    if options.prior not in CONTINUOUS:
        return SequenceStage(model, *rest)
    take_scale(model, lam, data.held_out_windows(splits.train, max(4, SCALED // longest), longest)["frames"])
    return ContinuousStage(model, *rest)


def plan_translator(stage: str, options: TranslatorOptions, splits: Splits, coming: Coming) -> FlexLAMRun:
    """Make the whole configuration of a translator, or of a control; labels are drawn if there are none."""
    lam, digest = lam_of(options, coming)

    def groups() -> tuple[list[Any], dict[str, Any]]:
        folder = needed(options, "lam")
        return code_clusters(load_slot_model(folder), model_digest(folder), splits.train, options.seed, options.device)

    actions, rows = labels_of(options, splits.train, stage, "lam" in coming, groups)
    if options.balance and not actions.discrete:
        raise ValueError("balance is True, but the actions are continuous; only discrete actions can be balanced.")
    height, width, channels = frame_shape(splits)
    model = TranslatorConfig(
        slots=lam.slots, code_dim=lam.dim, prefix=lam.prefix, actions=actions, conditioning=options.conditioning,
        **frame_fields((height, width)), channels=channels,
        **RECIPES[options.preset].translator_slots,
    )  # fmt: skip
    if "frame" in options.conditioning:
        model = replace(model, frame_patch=fitting_patch((height, width), model.frame_patch, "translator"))
    return run_config(
        stage, model, options, splits, labels=options.labels, lam=digest, label_rows=rows, balance=options.balance
    )


def _plan_translator(options: TranslatorOptions, splits: Splits, coming: Coming) -> FlexLAMRun:
    return plan_translator("translator", options, splits, coming)


def _plan_joint(options: JointOptions, splits: Splits, coming: Coming) -> FlexLAMRun:
    return plan_translator("joint", options, splits, coming)


def _build_translator(options: TranslatorOptions, config: FlexLAMRun, splits: Splits) -> TranslatorStage:
    few, held_out = labelled_parts(options, splits.train)
    lam, model = trained_lam(options), Translator(config.model)
    joint = isinstance(options, JointOptions)
    return TranslatorStage(
        model, lam, few, held_out, config.loop.batch, options.seed, joint, options.prefix_distribution, options.balance
    )


LAM_STAGE = StageDefinition(
    "lam", "the latent action model, from pairs of frames", LAMOptions, _plan_lam, _build_lam, ("lam",)
)
SEQUENCE_STAGE = StageDefinition(
    "sequence", "the sequence model, from windows of frames and their codes",
    SequenceOptions, _plan_sequence, _build_sequence, ("sequence",), ("lam",),
)  # fmt: skip
TRANSLATOR_STAGE = StageDefinition(
    "translator", "the translator from codes to actions, from few labels",
    TranslatorOptions, _plan_translator, _build_translator, ("translator",), ("lam",),
)  # fmt: skip
JOINT_STAGE = StageDefinition(
    "joint", "the translator together with the encoder of the latent action model, from few labels",
    JointOptions, _plan_joint, _build_translator, ("translator", "lam"), ("lam",),
)  # fmt: skip
