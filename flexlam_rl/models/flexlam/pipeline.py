"""FlexLAM's stages one after another, or one of them, with the options of all of them."""

import json
from pathlib import Path

from flexlam_rl.models.baselines.control_stage import CODE_KINDS
from flexlam_rl.models.flexlam.options import TrainArgs
from flexlam_rl.nn.pretrained import model_digest
from flexlam_rl.train import distributed, preflight, run_stage
from flexlam_rl.train.definition import needed
from flexlam_rl.train.options import StageOptions, part_of
from flexlam_rl.train.run_stage import figures_line
from flexlam_rl.train.stages import STAGES
from flexlam_rl.train.trainer import TrainingError

__all__ = ["TrainArgs", "figures_line", "train_all", "train_stage"]

CHAIN = ("lam", "sequence", "translator")


def _options(stage: str, args: TrainArgs) -> StageOptions:
    """Options of one stage, without those that it does not use."""
    steps = args.steps if stage != "lam" or args.lam_steps is None else args.lam_steps
    return part_of(args, STAGES.get(stage).options, steps=steps)


def train_stage(stage: str, args: StageOptions) -> dict[str, float]:
    """Run one stage to its end.

    Args:
        stage: Name of a stage in `STAGES`, or of a control: "random", "shuffled", "previous".
        args: Options of the stage, or `TrainArgs`, from which the stage's own are taken.

    Returns:
        The best evaluation's figures.

    Raises:
        TrainingError: An earlier stage is missing, or the folder holds another run.
        ValueError: There is no such stage, or the options or the rollouts do not fit it; raised before any training.
        KeyboardInterrupt: On Ctrl-C or SIGTERM; the message says how to continue.
    """
    if not isinstance(args, TrainArgs):
        return run_stage.train_stage(stage, args)
    if stage in CODE_KINDS:
        return run_stage.train_stage("controls", part_of(args, STAGES.get("controls").options, kind=stage))
    return run_stage.train_stage(stage, _options(stage, args))


def train_all(args: TrainArgs) -> dict[str, dict[str, float]]:
    """Train LAM, sequence model and translator one after another; finished stages are not run again.

    Everything is checked before the first step. With `lam_run`, no LAM is trained. If a longer run continues the LAM,
    the other two stages, which were trained on codes of its earlier state, are kept under another name and begin anew.

    Args:
        args: The options.

    Returns:
        The best evaluation's figures of each stage.

    Raises:
        TrainingError: The folder holds another run.
        ValueError: The options or the rollouts do not fit one of the stages; raised before any training.
        KeyboardInterrupt: On Ctrl-C or SIGTERM; the message says how to continue.
    """
    chain = CHAIN if args.lam_run is None else CHAIN[1:]
    with run_stage.alone(args):
        splits = run_stage.open_splits(args)
        preflight.check_chain([(STAGES.get(stage), _options(stage, args)) for stage in chain], splits)
    figures = {}
    for stage in chain:
        if stage != "lam" and args.lam_run is None and distributed.start(args.device)[0] == 0:
            _set_aside(args.out / stage, model_digest(needed(args, "lam")))
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
