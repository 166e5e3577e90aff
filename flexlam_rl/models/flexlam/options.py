"""Options of FlexLAM's stages, each with only those that it uses; `TrainArgs` has the options of all of them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from flexlam_rl.models.flexlam.config import Conditioning
from flexlam_rl.models.flexlam.priors import CONTINUOUS, PriorName
from flexlam_rl.models.flexlam.stages.sequence import Targets
from flexlam_rl.nn.prefix import PrefixDistribution
from flexlam_rl.train.options import LabelOptions, StageOptions
from flexlam_rl.utils.numbers import real
from flexlam_rl.utils.options import formerly, named_values, takes_former_names, whole


@dataclass(frozen=True)
class PresetOptions(StageOptions):
    """Train on rollouts."""

    preset: Literal["paper", "small", "tiny", "study", "debug"] = "tiny"
    """Preset, which sets sizes, lengths and rates of all stages."""


@dataclass(frozen=True)
class EncoderOptions(PresetOptions):
    """Train an encoder of frames."""

    encoder_patch: int | None = field(default=None, kw_only=True)
    """Pixels along a side of the encoder's patches; None: a size with as many patches as the preset's at 64 x 64."""

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        whole(self, "encoder_patch", 1)


@dataclass(frozen=True)
class PatchOptions(EncoderOptions):
    """Train a model that predicts frames."""

    decoder_patch: int | None = field(default=None, kw_only=True)
    """Pixels along a side of the patches of the predicted frame; None: a size that fits the frames."""

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        whole(self, "decoder_patch", 1)


@dataclass(frozen=True)
class PrefixOptions(PresetOptions):
    """Train on prefixes of codes."""

    prefix_distribution: PrefixDistribution = field(default="uniform", metadata=formerly("prefix_law"), kw_only=True)
    """Distribution of the prefix lengths in training: uniform (the paper), or half of them log-uniform (short ones more
    often).
    """


@dataclass(frozen=True)
class LAMOptions(PatchOptions, PrefixOptions):
    """Train the latent action model on pairs of frames, without actions."""

    fixed: int | None = field(default=None, kw_only=True)
    """Train a Fixed-K model with this number of slots instead of FlexLAM."""
    lam_slots: int | None = field(default=None, kw_only=True)
    """Number of FlexLAM's slots; None: the preset's."""
    fsq_levels: tuple[int, ...] | None = field(default=None, metadata=formerly("levels"), kw_only=True)
    """Levels of each dimension of the quantizer (FSQ); None for the paper's 8 5 5 5."""
    quantizer: str = field(default="fsq", kw_only=True)
    """Bottleneck: fsq (the paper), vq (a codebook), gaussian or identity (continuous), or one of another package."""
    quantizer_options: tuple[str, ...] = field(default=(), kw_only=True)
    """Options of a quantizer other than fsq, as NAME=VALUE: for vq, size=512 dim=8; for gaussian, dim=4 beta=1e-3."""
    cache: Path | None = field(default=None, kw_only=True)
    """Folder for a raw copy of the frames, which reads faster."""

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        whole(self, "fixed", 1)
        whole(self, "lam_slots", 1)
        if None not in (self.fixed, self.lam_slots):
            raise ValueError(f"fixed is {self.fixed} and lam_slots is {self.lam_slots}; expected only one of them.")
        for level in self.fsq_levels or ():
            if isinstance(level, bool) or not isinstance(level, int) or level < 2:
                raise ValueError(f"fsq_levels is {self.fsq_levels!r}; expected whole numbers, 2 or more each.")
        if self.quantizer != "fsq" and self.fsq_levels is not None:
            raise ValueError(f"fsq_levels is {self.fsq_levels}; the quantizer {self.quantizer!r} has no levels.")
        if self.quantizer == "fsq" and self.quantizer_options:
            raise ValueError(f"quantizer_options is {self.quantizer_options}; the quantizer 'fsq' takes fsq_levels.")
        named_values(self.quantizer_options, "quantizer_options")


@dataclass(frozen=True)
class CodeOptions(PresetOptions):
    """Train on the codes of a latent action model."""

    lam_run: Path | None = field(default=None, kw_only=True)
    """Take the LAM from this folder, of a run or a bundle, instead of --out: several models on one LAM."""


@dataclass(frozen=True)
class SequenceOptions(CodeOptions):
    """Train the sequence model, which predicts codes from frames, without actions."""

    prior: PriorName = field(default="interleaved", kw_only=True)
    """Kind of prior. interleaved: frame patches and codes in one sequence (the paper). factored: one token per past
    block and a small head for the codes; a decision costs a tenth, and contexts are long. recurrent: a GRU in place of
    factored's transformer, which learns fast on CPUs. continuous, mixture: like factored, but slot vectors instead of
    codes, all at once, by a flow or a mixture (LaMo).
    """
    context: int | None = field(default=None, kw_only=True)
    """Frames that a decision sees, for every prior but the interleaved one; None: the preset's. The recurrent prior is
    trained on as many, and remembers the whole episode in play.
    """
    history_noise: float | None = field(default=None, kw_only=True)
    """Largest standard deviation of the noise on past blocks, for continuous priors; 0 for none, None for the preset's.
    """
    drop_frames: float = field(default=0.0, kw_only=True)
    """Probability that a frame of a training window is hidden from later decisions. In play, the past is the policy's
    own; a prior that was trained with gaps relies on it less.
    """
    drop_blocks: float = field(default=0.0, kw_only=True)
    """Probability that a past code block is hidden from later decisions of a training window."""
    encode_once: bool = field(default=True, kw_only=True)
    """Encode all transitions before the first step and store their codes beside the rollouts, where later runs on this
    LAM find them; False encodes each batch.
    """
    stem: Literal["linear", "conv"] | None = field(default=None, kw_only=True)
    """How frames become patch tokens of the interleaved prior: a linear map (the paper), or a few convolutions; None:
    the preset's.
    """
    sequence_patch: int | None = field(default=None, kw_only=True)
    """Pixels along a side of the patches of a frame; None: a size that fits the frames."""
    long_share: float | None = field(default=None, kw_only=True)
    """Share of the prior's steps that train on whole contexts, after those on short windows; None: the preset's."""
    targets: Targets | None = field(default=None, kw_only=True)
    """What each step predicts: whole code blocks (the paper), or random prefixes of them; None: the preset's."""

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        if self.long_share is not None and not 0 <= self.long_share <= 1:
            raise ValueError(f"long_share is {self.long_share!r}; expected 0..1.")
        for name in ("drop_frames", "drop_blocks"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is {share!r}; expected a probability, 0..1.")
        whole(self, "context", 2)
        whole(self, "sequence_patch", 1)
        if self.history_noise is not None:
            real(self.history_noise, "history_noise")
            if self.prior not in CONTINUOUS:
                raise ValueError(
                    f"history_noise is {self.history_noise}, which only continuous priors have: use --prior continuous."
                )
        other = "factored" if self.prior == "interleaved" else "interleaved"
        for name in ("context",) if self.prior == "interleaved" else ("stem",):
            if getattr(self, name) is not None:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, which the {self.prior} prior does not have: "
                    f"use --prior {other}."
                )


@dataclass(frozen=True)
class TranslatorOptions(CodeOptions, PrefixOptions, LabelOptions):
    """Train the translator from codes to actions, on few labels."""

    conditioning: Conditioning = field(default="slots+action", kw_only=True)
    """What the translator sees beside the codes: the previous action (the paper), nothing (most robust across tasks),
    the current frame, or both.
    """
    balance: bool = field(default=False, kw_only=True)
    """Give every action that occurs among the labels the same total weight in the loss, however rare it is."""


@dataclass(frozen=True)
class JointOptions(TranslatorOptions):
    """Train the translator on few labels, with a loss that also updates the encoder of the latent action model."""


@takes_former_names
@dataclass(frozen=True)
class TrainArgs(LAMOptions, SequenceOptions, TranslatorOptions):
    """Train FlexLAM on rollouts: latent action model, sequence model and translator, one after another."""

    lam_steps: int | None = field(default=None, kw_only=True)
    """Steps of the latent action model only, instead of --steps or the preset's."""

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        whole(self, "lam_steps", 1)
