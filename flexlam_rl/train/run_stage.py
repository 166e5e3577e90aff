"""Training of stages by name. A stopped command continues when it is run again."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from flexlam_rl.datasets.mixture import open_mixture, read_parts
from flexlam_rl.nn.modes import neutral_modes
from flexlam_rl.train import distributed, preflight
from flexlam_rl.train.definition import Splits
from flexlam_rl.train.identity import check_folder
from flexlam_rl.train.initial import set_initial_weights
from flexlam_rl.train.options import StageOptions
from flexlam_rl.train.stages import STAGES
from flexlam_rl.train.stopping import resumable
from flexlam_rl.train.trainer import run


@contextmanager
def alone(options: StageOptions) -> Iterator[None]:
    """Keep the caller's torch modes and random numbers, and end on a signal with a sentence that says how to
    continue.
    """
    with neutral_modes(), torch.random.fork_rng(devices=[]), resumable(options.out):
        torch.default_generator.manual_seed(options.seed)
        yield


def open_splits(options: StageOptions) -> Splits:
    """Open the rollouts that the options name."""
    parts = read_parts(options.data)
    train, test = (open_mixture(parts, options.tasks, split) for split in ("train", "test"))
    return Splits(train, test)


def train_stage(name: str, options: StageOptions) -> dict[str, float]:
    """Run one stage to its end.

    Args:
        name: Name of the stage in `STAGES`.
        options: Its options.

    Returns:
        The best evaluation's figures.

    Raises:
        TrainingError: An earlier stage is missing, or the folder holds another run.
        ValueError: There is no such stage, or the options or the rollouts do not fit it; raised before any training.
        KeyboardInterrupt: On Ctrl-C or SIGTERM; the message says how to continue.
    """
    definition = STAGES.get(name)
    with alone(options):
        splits = open_splits(options)
        [config] = preflight.check_chain([(definition, options)], splits)
        out = definition.place(options)
        out.mkdir(parents=True, exist_ok=True)
        if distributed.start(options.device)[0] == 0:
            check_folder(out, config)
        stage = definition.build(options, config, splits)
        if options.init is not None:
            set_initial_weights(stage, definition, options)
        return run(stage, config.loop, out)


def figures_line(stage: str, figures: dict[str, float]) -> str:
    """Format the best evaluation of a stage as one line."""
    step = f"best at step {figures['step']}: " if "step" in figures else ""
    shown = {name: value for name, value in figures.items() if name != "step"}
    return f"{stage}: {step}" + ", ".join(
        f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}" for name, value in shown.items()
    )
