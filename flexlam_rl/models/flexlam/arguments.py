"""Options of the training commands."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flexlam_rl.models.flexlam.config import Conditioning
from flexlam_rl.models.flexlam.stages.sequence import Targets
from flexlam_rl.nn.prefix import PrefixLaw
from flexlam_rl.utils.options import tidy, whole


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
    """Steps of every stage asked for, instead of the preset's. A longer length continues a finished run, at the rates
    of its schedule.
    """
    lam_steps: int | None = None
    """Steps of the latent action model alone, instead of --steps or the preset's."""
    precision: Literal["fp32", "bf16"] | None = None
    """Arithmetic of training; None: as the run began, and a new one as the preset, but fp32 on a CPU without matrix
    units for bf16 (AMX).
    """
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

    def __post_init__(self) -> None:
        """Make paths absolute and numbers plain.

        Raises:
            ValueError: If an option is out of range; the sentence names it.
        """
        tidy(self)
        object.__setattr__(self, "device", str(self.device))
        for name, low in (("seed", 0), ("steps", 1), ("lam_steps", 1), ("fixed", 1), ("label_count", 1)):
            whole(self, name, low)
        for level in self.levels or ():
            if isinstance(level, bool) or not isinstance(level, int) or level < 2:
                raise ValueError(f"levels is {self.levels!r}; expected whole numbers, 2 or more each.")
        if self.label_fraction is not None and not 0 < self.label_fraction <= 1:
            raise ValueError(f"label_fraction is {self.label_fraction!r}; expected a share above 0, up to 1.")
        if self.long_share is not None and not 0 <= self.long_share <= 1:
            raise ValueError(f"long_share is {self.long_share!r}; expected 0..1.")


@dataclass(frozen=True)
class ControlArgs(TrainArgs):
    """Train a control on rollouts: the options of the translator's stage, and what stands in place of the codes."""

    kind: Literal["random", "shuffled", "previous", "features"] = "shuffled"
    """Random codes, codes of other transitions, the previous action alone, or the change of frozen visual features."""
