"""Options and jobs of `flexlam study consistency`."""

from dataclasses import dataclass, field
from pathlib import Path

from flexlam_rl.eval.studies.study import StudyOptions
from flexlam_rl.utils.options import free, tidy, whole

REPEAT = "repeat-last-frame"


@dataclass(frozen=True, kw_only=True)
class Options(StudyOptions):
    """Predict hundreds of frames, with one sample per context, and compare them with what the engine renders: by
    horizon, and where the camera returns to a place that it has seen.
    """

    out: Path
    """Folder of the study; the same command continues it."""
    models: tuple[str, ...] = ()
    """World models to measure, each as NAME=FOLDER; folders of the same name are trainings with different seeds."""
    flexlam: bool = True
    """Also measure the decoder of the latent action model."""
    bundle: str | None = None
    """Bundle or folder of the latent action model that encodes the steps; None for the bundle of the package."""
    budgets: tuple[int, ...] = (0, 1, 4, 16)
    """Numbers of codes per step that models of codes are told; numbers that a model cannot take are left out."""
    protocols: tuple[str, ...] = ("144-156", "36-264", "32-32", "64-64")
    """Numbers of context frames and of predicted frames, each as CONTEXT-HORIZON."""
    level: str = "explore_goal_locations_small"
    """Level of DMLab that litelab plays and renders, with poses."""
    player: str = "random"
    """Expert that plays it."""
    data: Path | None = None
    """Rollouts whose test split is predicted instead; returns to a place are found if it was collected with poses
    (`flexlam collect --protocol dmlab-40k`).
    """
    clips: int = 32
    """Number of clips per protocol, from different episodes of the level."""
    batch: int = 8
    """Number of clips that are predicted together."""
    extractor: str = "efficientnet-lite0"
    """Network of the perceptual and the Fréchet distance."""
    seed: int = 0
    """Seed of the episodes and of the predictions."""
    decode_steps: int | None = None
    """Number of steps of a flow decoder per prediction; None for the model's own."""
    device: str = field(default="cpu", metadata=free())

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: An option is out of range.
        """
        tidy(self)
        whole(self, "seed", 0)
        whole(self, "batch", 1)
        whole(self, "clips", 2)
        if not self.budgets or min(self.budgets) < 0 or len(set(self.budgets)) != len(self.budgets):
            raise ValueError(f"budgets is {self.budgets}; expected whole numbers of 0 or more, none twice.")
        if not self.protocols or len(set(self.protocols)) != len(self.protocols):
            raise ValueError(f"protocols is {self.protocols}; expected at least one, and none twice.")
        for protocol in self.protocols:
            parse_protocol(protocol)
        for model in self.models:
            name, _, folder = model.partition("=")
            if not name or not folder or not name.replace("-", "").replace("_", "").isalnum() or name == REPEAT:
                raise ValueError(f"models holds {model!r}; expected NAME=FOLDER, the name of letters, digits, - and _.")


@dataclass(frozen=True)
class Job:
    """Predictions of one model under one protocol.

    Attributes:
        model: Name of the model.
        run: Number of the training among those of this name.
        budget: Number of codes that it is told; None for a model that is told no codes.
        protocol: CONTEXT-HORIZON.
    """

    model: str
    run: int
    budget: int | None
    protocol: str

    @property
    def arm(self) -> str:
        """Name of the model, with its budget."""
        return self.model if self.budget is None else f"{self.model}@{self.budget}"

    @property
    def name(self) -> str:
        """Everything."""
        return f"{self.arm}-{self.run}-{self.protocol}"

    @property
    def kind(self) -> str:
        """Name of the model, whose predictions take the same time per frame in all protocols."""
        return self.model


def parse_protocol(protocol: str) -> tuple[int, int]:
    """Read the numbers of context frames and of predicted frames from "CONTEXT-HORIZON".

    Raises:
        ValueError: The text has another form.
    """
    context, _, horizon = protocol.partition("-")
    if not (context.isdecimal() and horizon.isdecimal() and int(context) > 0 and int(horizon) > 0):
        raise ValueError(f"protocols holds {protocol!r}; expected CONTEXT-HORIZON, two numbers of 1 or more.")
    return int(context), int(horizon)
