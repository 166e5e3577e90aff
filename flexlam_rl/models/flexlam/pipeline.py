"""Stages on rollouts: one command a stage, and all in a row. A stopped command continues when it is given again."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from flexlam_rl.datasets import Rollouts
from flexlam_rl.models.baselines.control_stage import CODE_KINDS, ControlStage
from flexlam_rl.models.baselines.features import FeatureTranslator
from flexlam_rl.models.baselines.idm import IDM, BehaviourCloning
from flexlam_rl.models.flexlam import preflight
from flexlam_rl.models.flexlam.arguments import ControlArgs, TrainArgs
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.plan import DIRECT, STAGES, RunConfig, plan, windows
from flexlam_rl.models.flexlam.recipes import RECIPES, lam_config
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.models.flexlam.stages.lam import LAMStage
from flexlam_rl.models.flexlam.stages.sequence import SequenceStage
from flexlam_rl.models.flexlam.stages.translator import DirectStage, TranslatorStage
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.nn.modes import neutral_modes
from flexlam_rl.nn.pretrained import model_digest
from flexlam_rl.train import data, distributed
from flexlam_rl.train.identity import check_folder
from flexlam_rl.train.stopping import resumable
from flexlam_rl.train.trainer import TrainingError, run

__all__ = ["ControlArgs", "TrainArgs", "figures_line", "main", "train_all", "train_stage"]

CHAIN = ("lam", "sequence", "translator")


def _start(args: TrainArgs, config: RunConfig) -> Path:
    out = args.out / config.stage
    out.mkdir(parents=True, exist_ok=True)
    if distributed.start(args.device)[0] == 0:
        check_folder(out, config)
    return out


@contextmanager
def _alone(args: TrainArgs) -> Iterator[None]:
    """Leave the caller's torch modes and random numbers alone, and end on a signal with a sentence that says how to go
    on.
    """
    with neutral_modes(), torch.random.fork_rng(devices=[]), resumable(args.out):
        torch.default_generator.manual_seed(args.seed)
        yield


def train_stage(stage: str, args: TrainArgs) -> dict[str, float]:
    """Run one stage to its end.

    Args:
        stage: "lam", "sequence", or one on labels: "translator", "joint", "idm", "bc", "features", "random",
            "shuffled", "previous".
        args: The options; numbers may be NumPy scalars, paths relative.

    Returns:
        The best evaluation's figures.

    Raises:
        TrainingError: An earlier stage is missing, or the folder holds another run.
        ValueError: The options or the rollouts do not fit the stage; nothing has been trained then.
        KeyboardInterrupt: On Ctrl-C or SIGTERM; the message says how to continue.
    """
    if stage not in STAGES:
        raise TrainingError(f"stage is {stage!r}; expected one of {', '.join(STAGES)}.")
    with _alone(args):
        train, test = data.open_both(args.data)
        preflight.check(args, (stage,), train, test)
        if stage == "lam":
            return _lam(args, train, test)
        if stage == "sequence":
            return _sequence(args, train, test)
        return _labelled(args, train, stage)


def _lam(args: TrainArgs, train: Rollouts, test: Rollouts) -> dict[str, float]:
    recipe = RECIPES[args.preset]
    config = plan("lam", args, train, lam_config(recipe, args.fixed, args.levels))
    out = _start(args, config)
    rank, ranks = distributed.start(args.device)
    source = data.PairSource(train, config.loop.batch, args.seed, rank, ranks, args.cache)
    held_out = data.held_out_pairs(test, recipe.held_out)
    return run(LAMStage(LAM(config.model), source, held_out, law=args.prefix_law), config.loop, out)


def _sequence(args: TrainArgs, train: Rollouts, test: Rollouts) -> dict[str, float]:
    folder = preflight.lam_folder(args)
    recipe, lam = RECIPES[args.preset], LAM.from_pretrained(folder)
    config = plan("sequence", args, train, lam.config, lam_digest=model_digest(folder))
    out = _start(args, config)
    rank, ranks = distributed.start(args.device)
    short, longest, long_share = windows(args)
    short_steps = int(config.loop.steps * (1 - long_share))
    source = data.CurriculumSource(train, config.loop.batch, short, longest, short_steps, args.seed, rank, ranks)
    held_out = data.held_out_windows(test, max(4, recipe.held_out // longest), longest)
    return run(
        SequenceStage(SequenceModel(config.model), lam, source, held_out, args.targets or recipe.targets),
        config.loop,
        out,
    )


def _labelled(args: TrainArgs, train: Rollouts, stage: str) -> dict[str, float]:
    actions = data.action_spec(train)
    sets = preflight.labels(args, train)
    few, held_out = (data.labelled(train, part) for part in sets)
    rows = "-".join(part.digest[:16] for part in sets)
    if stage in DIRECT:
        config = plan(stage, args, train, RECIPES[args.preset].sizes.lam, actions, label_rows=rows)
        out = _start(args, config)
        model = {"features": FeatureTranslator, "idm": IDM, "bc": BehaviourCloning}[stage](config.model)
        return run(
            DirectStage(stage, model, DIRECT[stage], few, held_out, config.loop.batch, args.seed), config.loop, out
        )
    folder = preflight.lam_folder(args)
    lam = LAM.from_pretrained(folder)
    config = plan(stage, args, train, lam.config, actions, lam_digest=model_digest(folder), label_rows=rows)
    out = _start(args, config)
    given = (Translator(config.model), lam, few, held_out, config.loop.batch, args.seed)
    if stage in CODE_KINDS:
        return run(ControlStage(stage, *given, args.prefix_law), config.loop, out)
    return run(TranslatorStage(*given, stage == "joint", args.prefix_law), config.loop, out)


def train_all(args: TrainArgs) -> dict[str, dict[str, float]]:
    """Train LAM, sequence model and translator in a row; finished stages are not run again.

    All of it is checked before the first step. With `lam_run`, no LAM is trained. A longer length continues the LAM;
    the other two, which were trained on codes that the LAM has left behind, are then kept under another name and begin
    anew.

    Args:
        args: The options.

    Returns:
        The best evaluation's figures of each stage.

    Raises:
        TrainingError: The folder holds another run.
        ValueError: The options or the rollouts do not fit one of the stages; nothing has been trained then.
        KeyboardInterrupt: On Ctrl-C or SIGTERM; the message says how to continue.
    """
    chain = CHAIN if args.lam_run is None else CHAIN[1:]
    with _alone(args):
        train, test = data.open_both(args.data)
        preflight.check(args, chain, train, test)
    figures = {}
    for stage in chain:
        if stage != "lam" and args.lam_run is None and distributed.start(args.device)[0] == 0:
            _set_aside(args.out / stage, model_digest(preflight.lam_folder(args)))
        figures[stage] = train_stage(stage, args)
    return figures


def _set_aside(folder: Path, lam: str) -> None:
    """Rename a stage's folder if it was trained on codes of an earlier state of the LAM beside it."""
    if not (folder / "config.json").exists():
        return
    before = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("lam")
    if before in (None, lam):
        return
    kept = folder.with_name(f"{folder.name}-of-lam-{before[:8]}")
    if kept.exists():
        raise TrainingError(
            f"{folder} was trained on an earlier LAM and cannot be kept as {kept}, which exists; rename one of them."
        )
    folder.rename(kept)
    print(
        f"{folder.name}: the LAM has been trained further, so this stage begins anew; the earlier one is kept in "
        f"{kept}."
    )


def figures_line(stage: str, figures: dict[str, float]) -> str:
    """The best evaluation of a stage in one line."""
    step = f"best at step {figures['step']}: " if "step" in figures else ""
    shown = {name: value for name, value in figures.items() if name != "step"}
    return f"{stage}: {step}" + ", ".join(
        f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}" for name, value in shown.items()
    )


def main(stage: str) -> None:
    """Command line of one stage: `python -m train.lam --data DIR --out RUN ...`; stage "control" takes its name from
    --kind.
    """
    import sys

    from flexlam_rl.utils.command_line import run as run_command

    def train(args: TrainArgs) -> None:
        name = args.kind if isinstance(args, ControlArgs) else stage
        print(figures_line(name, train_stage(name, args)))

    sys.exit(
        run_command(
            ControlArgs if stage == "control" else TrainArgs,
            train,
            None,
            f"python -m train.{stage.replace('control', 'controls')}",
        )
    )
