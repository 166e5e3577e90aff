"""Options of training stages: those that every stage has, and those of stages on labels."""

import os
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from flexlam_rl.utils.options import formerly, tidy, whole

Options = TypeVar("Options", bound="StageOptions")


@dataclass(frozen=True)
class StageOptions:
    """Train on rollouts. A stage derives from this class and adds what it alone uses."""

    data: Path | tuple[Path, ...]
    """Folder of the rollouts (a training and a test split), or several as PATH=WEIGHT, or a mixture file (JSON)."""
    out: Path
    """Folder of the run; the same command continues a stopped run in it."""
    _: KW_ONLY
    tasks: tuple[str, ...] | None = None
    """Tasks of the rollouts to train on; None for all."""
    init: Path | None = None
    """Start from the weights of the same stage of another run, of this folder, or from those of a bundle."""
    seed: int = 0
    device: str = "cpu"
    steps: int | None = None
    """Optimizer steps, instead of the recipe's. A longer length continues a finished run, at the rates of its
    schedule.
    """
    optimiser: Literal["adamw", "muon"] | None = None
    """None: the recipe's. Muon (for the hidden matrices, AdamW for the rest) needs torch 2.9."""
    precision: Literal["fp32", "bf16"] | None = None
    """Arithmetic of training; None: as the run began, and a new one as its recipe, but fp32 on a CPU that does not
    multiply bf16 in hardware (AMX, AVX-512).
    """
    compile: bool | None = None
    """torch.compile. None: the recipe's on a GPU, no on a CPU, where it needs a C++ compiler and takes minutes at the
    start of a stage.
    """

    def __post_init__(self) -> None:
        """Make paths absolute and numbers plain.

        Raises:
            ValueError: If an option is out of range; the sentence names it.
        """
        given: Any = self.data  # a single path is taken too
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


@dataclass(frozen=True)
class LabelOptions(StageOptions):
    """Train on few labelled transitions."""

    _: KW_ONLY
    labels: str = "standard"
    """Name of the label set; it is drawn if the rollouts have none of that name: "diverse", or "diverse-...", over
    clusters of codes, so that rare transitions are among them; others uniformly (the paper).
    """
    label_fraction: float | None = 0.00025
    """Labels as a share of all steps (paper: 0.00025)."""
    label_count: int | None = None
    """Labels as a number instead."""
    label_task: str | None = field(default=None, metadata=formerly("label_level"))
    """Take all labels from this task (paper's narrow source: lasertag_one_opponent_large)."""

    def __post_init__(self) -> None:
        """Check the options, as in the class above."""
        super().__post_init__()
        whole(self, "label_count", 1)
        if self.label_fraction is not None and not 0 < self.label_fraction <= 1:
            raise ValueError(f"label_fraction is {self.label_fraction!r}; expected a share above 0, up to 1.")


def part_of(options: Any, kind: type[Options], /, **changes: Any) -> Options:
    """The options of one stage out of those of several.

    Args:
        options: A dataclass with all the fields of `kind`, and others.
        kind: Options of the stage.
        changes: Fields to set otherwise.
    """
    if type(options) is kind and not changes:
        return options
    names = kind.__dataclass_fields__
    return kind(**{name: getattr(options, name) for name in names if hasattr(options, name)} | changes)
