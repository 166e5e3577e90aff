"""`StageDefinition`: what a package provides so that `flexlam train STAGE` can train a stage.

To add a stage, write a dataclass of its options (derived from `StageOptions`), a function that plans the training and
one that builds the stage, and register them in `STAGES` under a name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from flexlam_rl.datasets import Rollouts
from flexlam_rl.nn.pretrained import model_folder
from flexlam_rl.train.errors import TrainingError
from flexlam_rl.train.options import StageOptions
from flexlam_rl.train.trainer import LoopConfig, Stage

Options = TypeVar("Options", bound=StageOptions)


@dataclass(frozen=True)
class Splits:
    """The rollouts that a stage trains on and those that it is evaluated on."""

    train: Rollouts
    test: Rollouts


@dataclass(frozen=True)
class RunConfig:
    """Contents of config.json in a stage's folder; see `identity` for what a continued run must share.

    If the stage builds on models of earlier stages, which it names in `needs`, fields of these names hold their
    digests.
    """

    stage: str
    model: Any
    """Configuration of the model."""
    loop: LoopConfig
    data: tuple[str, ...]
    """Digests of the rollouts."""
    init: str | None = field(default=None, metadata={"later": True}, kw_only=True)
    """Digest of the weights that the run started from, if `--init` gave some."""
    weights: tuple[float, ...] | None = field(default=None, metadata={"later": True}, kw_only=True)
    """Weights of the rollouts, if they are a mixture."""


@dataclass(frozen=True)
class StageDefinition(Generic[Options]):
    """A stage of training.

    Attributes:
        name: Name of the stage.
        summary: What it trains, in one line.
        options: The dataclass of its options; `--help` begins with its docstring.
        plan: Checks options and rollouts and gives the whole configuration before any training: `plan(options, splits,
            coming)`. `coming` has the configurations of stages that will be trained before this one; other stages that
            it needs are already trained. Raises a ValueError if something does not fit.
        build: Builds the stage: `build(options, config, splits)`. Weights are drawn from torch's default generator,
            which has been seeded.
        outputs: Names of the models that the stage writes to best/ and last/.
        needs: Stages whose models it builds on. The options may have a field `<stage>_run`, a run from which to take
            the model instead of `out`.
        folder: Name of its folder in the run; None for the stage's name.
    """

    name: str
    summary: str
    options: type[Options]
    plan: Callable[[Options, Splits, Mapping[str, Any]], RunConfig]
    build: Callable[[Options, Any, Splits], Stage]
    outputs: tuple[str, ...]
    needs: tuple[str, ...] = ()
    folder: Callable[[Options], str] | None = None

    def place(self, options: Options) -> Path:
        """Give the stage's folder in the run."""
        return options.out / (self.folder(options) if self.folder else self.name)


def needed(options: StageOptions, stage: str, model: str | None = None) -> Path:
    """Find the folder of a model that an earlier stage has trained: in `options.out`, or where the options name
    another folder for it (as `lam_run`), in that run, that bundle, or that model's folder.

    Args:
        options: Options of the stage that builds on the model.
        stage: Name of the earlier stage.
        model: Name of the model; None for the stage's name.

    Raises:
        TrainingError: The model has not been trained yet.
    """
    other = getattr(options, f"{stage}_run", None)
    run, name = other or options.out, model or stage
    folder = run / stage / "best" / name
    if folder.is_dir():
        return folder
    if other is not None and (found := model_folder(other, name)) is not None:
        return found
    raise TrainingError(f"{folder} is missing: train the stage {stage!r} first (--out {run}).")
