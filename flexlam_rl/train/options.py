"""Options of training stages: those that every stage has, and those of stages on labels."""

import os
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from flexlam_rl.utils.numbers import real
from flexlam_rl.utils.options import formerly, tidy, whole

Options = TypeVar("Options", bound="StageOptions")


@dataclass(frozen=True)
class StageOptions:
    """Train on rollouts. Each stage derives its options from this class and adds its own."""

    data: Path | tuple[Path, ...]
    """Folder of the rollouts (a training and a test split), or several as PATH=WEIGHT, or a mixture file (JSON)."""
    out: Path
    """Folder of the run; the same command continues a stopped run in it."""
    _: KW_ONLY
    tasks: tuple[str, ...] | None = None
    """Tasks of the rollouts to train on; None for all."""
    init: Path | None = None
    """Start from the weights of the same stage of another run, given by its folder, or from those of a bundle."""
    seed: int = 0
    device: str = "cpu"
    steps: int | None = None
    """Optimizer steps, instead of the recipe's. A larger number continues a finished run, at the rates of the longer
    schedule.
    """
    optimiser: Literal["adamw", "muon"] | None = None
    """Optimizer; None: the recipe's. muon (hidden matrices; AdamW for the rest) needs torch 2.9."""
    lr_scale: float = 1.0
    """Factor of the recipe's peak learning rates. Weights that are trained already (`init`) are lost at the full rates
    before they come back; 0.1 to 0.3 improves them from the first steps.
    """
    precision: Literal["fp32", "bf16"] | None = None
    """Precision of training; None: for a continued run, the one it began with; for a new run, the recipe's, but fp32 on
    CPUs that do not multiply bf16 in hardware (AMX, AVX-512).
    """
    compile: bool | None = None
    """Use torch.compile; None: the recipe's choice on a GPU, and no on a CPU, where it needs a C++ compiler and takes
    minutes at the start of a stage.
    """

    def __post_init__(self) -> None:
        """Make paths absolute and numbers plain.

        Raises:
            ValueError: An option is out of range; the sentence names it.
        """
        given: Any = self.data  # a single path is allowed too
        folders = (given,) if isinstance(given, str | os.PathLike) else tuple(given)
        if "" in map(os.fspath, folders):
            raise ValueError("data is an empty path; expected a folder ('.' for the working directory).")
        object.__setattr__(self, "data", folders)
        tidy(self)
        paths = tuple(Path(folder).resolve() for folder in folders)
        object.__setattr__(self, "data", paths[0] if len(paths) == 1 else paths)
        object.__setattr__(self, "device", str(self.device))
        whole(self, "seed", 0)
        whole(self, "steps", 1)
        object.__setattr__(self, "lr_scale", real(self.lr_scale, "lr_scale"))
        if not self.lr_scale:
            raise ValueError("lr_scale is 0.0; expected a factor above 0.")


@dataclass(frozen=True)
class LabelOptions(StageOptions):
    """Train on few labeled transitions."""

    _: KW_ONLY
    labels: str = "standard"
    """Name of the label set. If the rollouts have none of that name, it is drawn: "diverse" and "diverse-..." over
    clusters of codes, so that it includes rare transitions; others uniformly (the paper).
    """
    label_fraction: float | None = 0.00025
    """Number of labels as a share of all steps (paper: 0.00025)."""
    label_count: int | None = None
    """Number of labels, instead of label_fraction."""
    label_task: str | None = field(default=None, metadata=formerly("label_level"))
    """Take all labels from this task (the paper's narrow source: lasertag_one_opponent_large)."""

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        whole(self, "label_count", 1)
        if self.label_fraction is not None and not 0 < self.label_fraction <= 1:
            raise ValueError(f"label_fraction is {self.label_fraction!r}; expected a share above 0, up to 1.")


def part_of(options: Any, kind: type[Options], /, **changes: Any) -> Options:
    """Take the options of one stage from those of several.

    Args:
        options: A dataclass with all the fields of `kind`, and others.
        kind: Class of the stage's options.
        changes: Fields to set to other values.
    """
    if type(options) is kind and not changes:
        return options
    names = kind.__dataclass_fields__
    return kind(**{name: getattr(options, name) for name in names if hasattr(options, name)} | changes)
