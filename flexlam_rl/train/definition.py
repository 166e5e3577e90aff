"""`StageDefinition`: what a package says of a stage so that `flexlam train STAGE` trains it.

To add a stage, write a dataclass of its options (from `StageOptions`), a function that says what it will train and one
that builds it, and register them in `STAGES` under a name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from flexlam_rl.datasets import Rollouts
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
    """What config.json of a stage's folder holds; see `identity` for what a continued run must share.

    Where a stage builds on models of an earlier one that it names in `needs`, a field of that name holds their digest.
    """

    stage: str
    model: Any
    """Configuration of the model."""
    loop: LoopConfig
    data: tuple[str, ...]
    """Digests of the rollouts."""
    init: str | None = field(default=None, metadata={"later": True}, kw_only=True)
    """Digest of the weights that the run started from, where `--init` gave some."""
    weights: tuple[float, ...] | None = field(default=None, metadata={"later": True}, kw_only=True)
    """Weights of the rollouts, where they are a mixture."""


@dataclass(frozen=True)
class StageDefinition(Generic[Options]):
    """A stage of training.

    Attributes:
        name: Its name.
        summary: What it trains, in one line.
        options: The dataclass of its options; its docstring is what `--help` begins with.
        plan: Checks options and rollouts, and gives the whole configuration, before anything is trained:
            `plan(options, splits, coming)`. `coming` has the configurations of the stages that will be trained before
            this one; others that it needs are there already. Raises a ValueError where something does not fit.
        build: Builds what trains: `build(options, config, splits)`. Weights are drawn from torch's default generator,
            which has been seeded.
        outputs: Names of the models that it writes to best/ and last/.
        needs: Stages whose models it builds on. Its options may have a field `<stage>_run`, a run to take them from
            instead of `out`.
        folder: Name of its folder in the run; None for its name.
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
        """The stage's folder in the run."""
        return options.out / (self.folder(options) if self.folder else self.name)


def needed(options: StageOptions, stage: str, model: str | None = None) -> Path:
    """Folder of a model that an earlier stage has trained.

    Args:
        options: Of the stage that builds on it.
        stage: Name of the earlier stage.
        model: Name of the model; None for that of the stage.

    Raises:
        TrainingError: It has not been trained yet.
    """
    run = getattr(options, f"{stage}_run", None) or options.out
    folder = run / stage / "best" / (model or stage)
    if not folder.is_dir():
        raise TrainingError(f"{folder} is missing: train the stage {stage!r} first (--out {run}).")
    return folder
