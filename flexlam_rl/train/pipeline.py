"""Stages on rollouts: one command a stage, and all in a row. A stopped command continues when it is given again."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from flexlam_rl.datasets import Rollouts, load_labels, make_labels
from flexlam_rl.datasets.labels import label_names
from flexlam_rl.models.baselines.control_stage import CODE_KINDS, ControlStage
from flexlam_rl.models.baselines.features import FeatureTranslator
from flexlam_rl.models.baselines.idm import IDM, BehaviourCloning
from flexlam_rl.models.flexlam.config import ActionSpec, Conditioning, FeatureConfig, IDMConfig, TranslatorConfig
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.recipes import RECIPES, Recipe, lam_config
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.models.flexlam.stages.lam import LAMStage
from flexlam_rl.models.flexlam.stages.sequence import SequenceStage, Targets
from flexlam_rl.models.flexlam.stages.translator import DirectStage, TranslatorStage
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.nn.prefix import PrefixLaw
from flexlam_rl.nn.pretrained import PretrainedModel, model_digest
from flexlam_rl.train import data, distributed, optim
from flexlam_rl.train.trainer import LoopConfig, TrainingError, check_folder, run

# models without codes: what they take from a label
DIRECT = {
    "idm": ("current", "following", "previous"),
    "bc": ("current", "previous"),
    "features": ("current", "following", "previous"),
}
LABELLED = ("translator", "joint", *DIRECT, *CODE_KINDS)
STAGES = ("lam", "sequence", *LABELLED)


@dataclass(frozen=True)
class TrainArgs:
    """Train on rollouts."""

    data: Path
    """Folder of the rollouts (a training and a test split)."""
    out: Path
    """Folder of the run; the same command continues a stopped run in it."""
    preset: Literal["paper", "small", "tiny", "debug"] = "tiny"
    fixed: int | None = None
    """Train a Fixed-K model with so many slots instead of FlexLAM."""
    levels: tuple[int, ...] | None = None
    """FSQ levels; None for the paper's 8 5 5 5."""
    labels: str = "standard"
    """Name of the label set; it is drawn if the rollouts have none of that name."""
    label_fraction: float | None = 0.00025
    """Labels as a share of all steps (paper: 0.00025)."""
    label_count: int | None = None
    """Labels as a number instead."""
    label_level: str | None = None
    """Take all labels from this level (paper's narrow source: lasertag_one_opponent_large)."""
    cache: Path | None = None
    """Folder for a raw copy of the frames, which reads faster."""
    seed: int = 0
    device: str = "cpu"
    steps: int | None = None
    """Steps of every stage asked for, instead of the preset's."""
    lam_steps: int | None = None
    """Steps of the latent action model alone, instead of --steps or the preset's."""
    precision: Literal["fp32", "bf16"] | None = None
    """Arithmetic of training; None: the preset's, but fp32 on a CPU without matrix units for bf16 (AMX)."""
    compile: bool | None = None
    """torch.compile. None: the preset's on a GPU, no on a CPU, where it needs a C++ compiler and takes minutes at the
    start of a stage.
    """
    optimiser: Literal["adamw", "muon"] | None = None
    """None: the preset's. Muon (for the hidden matrices, AdamW for the rest) needs torch 2.9."""
    conditioning: Conditioning = "slots+action"
    """What the translator sees beside the codes: the previous action (the paper), nothing (holds best across levels),
    the current frame, or both.
    """
    stem: Literal["linear", "conv"] | None = None
    """How the sequence model's frames become patch tokens: a linear map (the paper), or a few convolutions; None: the
    preset's.
    """
    long_share: float | None = None
    """Share of the sequence model's steps that see whole contexts, after those on short windows; None: the preset's."""
    targets: Targets | None = None
    """What the sequence model's steps predict: whole code blocks (the paper), or random prefixes of them; None: the
    preset's.
    """
    prefix_law: PrefixLaw = "uniform"
    """How FlexLAM and its translator draw prefix lengths: by the paper's uniform law, or half of them log-uniform
    (short ones more often).
    """
    lam_run: Path | None = None
    """Take the LAM from this run's folder instead of --out: several translators on one LAM."""


def _loop(args: TrainArgs, config: LoopConfig) -> LoopConfig:
    config = replace(config, seed=args.seed, device=args.device)
    if args.device == "cpu":
        config = replace(config, compile=False, precision=config.precision if optim.has_matrix_units() else "fp32")
    compiled = config.compile if args.compile is None else args.compile
    config = replace(
        config,
        compile=compiled,
        precision=args.precision or config.precision,
        optimiser=args.optimiser or config.optimiser,
    )
    return (
        config if args.steps is None else replace(config, steps=args.steps, warmup=min(config.warmup, args.steps // 10))
    )


@dataclass(frozen=True)
class _RunConfig:
    """What config.json of a stage's folder holds, and a resumed run must share."""

    stage: str
    model: object
    loop: LoopConfig
    data: tuple[str, ...]
    labels: str
    prefix_law: str | None
    """None for the uniform law, as in folders from before there was another."""
    long_share: float | None = field(default=None, metadata={"later": True})
    """Where it is not the preset's."""
    targets: str | None = field(default=None, metadata={"later": True})
    """Where they are not whole blocks."""
    lam: str | None = field(default=None, metadata={"later": True})
    """Digest of the LAM whose codes the stage is trained on: codes of another one mean something else."""


def _start(
    args: TrainArgs,
    stage: str,
    model: object,
    loop: LoopConfig,
    train: Rollouts,
    labels: str = "",
    law: str = "uniform",
    **more: Any,
) -> Path:
    out = args.out / stage
    out.mkdir(parents=True, exist_ok=True)
    if distributed.start(args.device)[0] == 0:
        check_folder(
            out, _RunConfig(stage, model, loop, tuple(train.digests), labels, None if law == "uniform" else law, **more)
        )
    return out


def _trained_lam(args: TrainArgs) -> tuple[LAM, str]:
    run_folder = args.lam_run or args.out
    folder = run_folder / "lam" / "best" / "lam"
    if not folder.is_dir():
        raise TrainingError(f"{folder} is missing: train the LAM first (--out {run_folder}).")
    lam = LAM.from_pretrained(folder)
    # recorded runs drew a LAM's weights here, before their own; without it the same seed would give other models
    LAM(lam.config)
    return lam, model_digest(folder)


def _labels(args: TrainArgs, train: Rollouts) -> str:
    if args.labels not in label_names(train.stores[0].path):
        levels = [args.label_level] if args.label_level else None
        fraction = None if args.label_count is not None else args.label_fraction
        make_labels(train, args.labels, fraction=fraction, count=args.label_count, levels=levels, seed=args.seed)
    return args.labels


def train_stage(stage: str, args: TrainArgs) -> dict[str, float]:
    """Run one stage to its end; returns the best evaluation's figures.

    Raises:
        TrainingError: An earlier stage is missing, or the folder holds another run.
    """
    recipe = RECIPES[args.preset]
    train, test = data.open_both(args.data)
    torch.manual_seed(args.seed)
    if stage == "lam":
        return _lam(args, recipe, train, test)
    if stage == "sequence":
        return _sequence(args, recipe, train, test)
    if stage in LABELLED:
        return _labelled(args, recipe, train, stage)
    raise TrainingError(f"stage is {stage!r}; expected one of {', '.join(STAGES)}.")


def _lam(args: TrainArgs, recipe: Recipe, train: Rollouts, test: Rollouts) -> dict[str, float]:
    config = lam_config(recipe, args.fixed, args.levels)
    loop = _loop(args if args.lam_steps is None else replace(args, steps=args.lam_steps), recipe.lam)
    out = _start(args, "lam", config, loop, train, law=args.prefix_law)
    rank, ranks = distributed.start(args.device)
    source = data.PairSource(train, loop.batch, args.seed, rank, ranks, args.cache)
    return run(
        LAMStage(LAM(config), source, data.held_out_pairs(test, recipe.held_out), law=args.prefix_law), loop, out
    )


def _sequence(args: TrainArgs, recipe: Recipe, train: Rollouts, test: Rollouts) -> dict[str, float]:
    lam, lam_digest = _trained_lam(args)
    size = recipe.sizes.sequence
    loop = _loop(args, recipe.sequence)
    long_share = recipe.long_share if args.long_share is None else args.long_share
    if not 0 <= long_share <= 1:
        raise ValueError(f"long_share is {long_share}; expected 0..1.")
    # a model that never sees long contexts in training must not meet them in play
    longest = size.frames if long_share else recipe.short_frames
    frames = longest if long_share else longest - 1
    config = replace(size, slots=lam.config.slots, codes=lam.code_count, stem=args.stem or size.stem, frames=frames)
    targets = args.targets or recipe.targets
    targets_record = None if targets == "blocks" else targets
    out = _start(
        args, "sequence", config, loop, train, long_share=args.long_share, targets=targets_record, lam=lam_digest
    )
    rank, ranks = distributed.start(args.device)
    short_steps = int(loop.steps * (1 - long_share))
    source = data.CurriculumSource(train, loop.batch, recipe.short_frames, longest, short_steps, args.seed, rank, ranks)
    windows = data.held_out_windows(test, max(4, recipe.held_out // longest), longest)
    return run(SequenceStage(SequenceModel(config), lam, source, windows, targets), loop, out)


def _labelled(args: TrainArgs, recipe: Recipe, train: Rollouts, stage: str) -> dict[str, float]:
    actions = data.action_spec(train)
    name = _labels(args, train)
    few, held_out = (data.labelled(train, load_labels(train, name, part)) for part in ("train", "validation"))
    # every baseline trains as the translator does; those that learn to see as well, at the rate of the IDM
    loop = _loop(args, {"joint": recipe.joint, "idm": recipe.idm, "bc": recipe.idm}.get(stage, recipe.translator))
    if stage in DIRECT:
        model = _direct(stage, recipe, actions)
        out = _start(args, stage, model.config, loop, train, name)
        return run(DirectStage(stage, model, DIRECT[stage], few, held_out, loop.batch, args.seed), loop, out)
    size = recipe.sizes.lam
    lam, lam_digest = _trained_lam(args)
    config = TranslatorConfig(
        slots=lam.config.slots,
        code_dim=len(lam.config.levels),
        prefix=lam.config.prefix,
        actions=actions,
        conditioning=args.conditioning,
        image_size=size.image_size,
        channels=size.channels,
        **recipe.translator_slots,
    )
    out = _start(args, stage, config, loop, train, name, args.prefix_law, lam=lam_digest)
    translator = Translator(config)
    if stage in CODE_KINDS:
        return run(
            ControlStage(stage, translator, lam, few, held_out, loop.batch, args.seed, args.prefix_law), loop, out
        )
    return run(
        TranslatorStage(translator, lam, few, held_out, loop.batch, args.seed, stage == "joint", args.prefix_law),
        loop,
        out,
    )


def _direct(stage: str, recipe: Recipe, actions: ActionSpec) -> PretrainedModel:
    size = recipe.sizes.lam
    if stage == "features":
        return FeatureTranslator(FeatureConfig(size.channels, actions, **recipe.translator_slots))
    kind = IDM if stage == "idm" else BehaviourCloning
    return kind(IDMConfig(size.image_size, size.channels, actions, size.encoder, **recipe.translator_slots))


def train_all(args: TrainArgs) -> dict[str, dict[str, float]]:
    """LAM, sequence model and translator in a row; finished stages are not run again."""
    return {stage: train_stage(stage, args) for stage in ("lam", "sequence", "translator")}


@dataclass(frozen=True)
class ControlArgs(TrainArgs):
    """Train a control on rollouts: the options of the translator's stage, and what stands in place of the codes."""

    kind: Literal["random", "shuffled", "previous", "features"] = "shuffled"
    """Random codes, codes of other transitions, the previous action alone, or the change of frozen visual features."""


def main(stage: str) -> None:
    """Command line of one stage: `python -m train.lam --data DIR --out RUN ...`; stage "control" takes its name from
    --kind.
    """
    import sys

    from flexlam_rl.utils.command_line import run as run_command

    def train(args: TrainArgs) -> None:
        figures = train_stage(args.kind if isinstance(args, ControlArgs) else stage, args)
        print(", ".join(f"{name} {value:.4f}" for name, value in figures.items()))

    sys.exit(
        run_command(
            ControlArgs if stage == "control" else TrainArgs,
            train,
            None,
            f"python -m train.{stage.replace('control', 'controls')}",
        )
    )
