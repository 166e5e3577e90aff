"""Definitions of stage 1 of latent action models of other papers, for `STAGES`: `lapo`, `adaworld`, `laom`.

Each writes to the folder `lam` of its run, where later stages look for a latent action model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flexlam_rl.datasets import Windows
from flexlam_rl.models.baselines.config import LAOMConfig, SlotConfig, adaworld, laom, lapo
from flexlam_rl.models.baselines.forward_lam import ForwardLAM
from flexlam_rl.models.baselines.laom import LAOM
from flexlam_rl.models.baselines.laom_stage import LAOMStage
from flexlam_rl.models.flexlam.config import LAMConfig
from flexlam_rl.models.flexlam.frame_fit import fit_lam, frame_shape
from flexlam_rl.models.flexlam.options import EncoderOptions, PatchOptions, PrefixOptions
from flexlam_rl.models.flexlam.recipes import RECIPES
from flexlam_rl.models.flexlam.run_config import FlexLAMRun, run_config
from flexlam_rl.models.flexlam.stages.lam import LAMStage
from flexlam_rl.models.slot_model import latent_spec
from flexlam_rl.train import data, distributed
from flexlam_rl.train.definition import Splits, StageDefinition
from flexlam_rl.utils.numbers import real
from flexlam_rl.utils.options import whole

FOLDER = "lam"


@dataclass(frozen=True, kw_only=True)
class BaselineLAMOptions(EncoderOptions, PrefixOptions):
    """Train a latent action model of another paper on pairs of frames, without actions."""

    prefix: bool = False
    """Retain prefixes of random length in training, as FlexLAM does; the paper has no prefixes."""


@dataclass(frozen=True, kw_only=True)
class LAPOOptions(PatchOptions, BaselineLAMOptions):
    """Train LAPO: a codebook, an inverse and a forward model, squared error of the next frame."""

    slots: int = 8
    """Number of codes of a latent action."""
    size: int = 64
    """Number of vectors in the codebook."""
    dim: int = 16
    """Numbers per vector."""

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        for name in ("slots", "dim"):
            whole(self, name, 1)
        whole(self, "size", 2)


@dataclass(frozen=True, kw_only=True)
class AdaWorldOptions(PatchOptions, BaselineLAMOptions):
    """Train AdaWorld's latent action autoencoder: a beta-VAE, squared error of the next frame."""

    slots: int = 1
    """Number of slots that the numbers are divided into; prefixes end between slots."""
    dim: int = 32
    """Numbers per slot."""
    beta: float = 2e-4
    """Weight of the KL divergence from the normal distribution."""

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        for name in ("slots", "dim"):
            whole(self, name, 1)
        real(self.beta, "beta")


@dataclass(frozen=True, kw_only=True)
class LAOMOptions(BaselineLAMOptions):
    """Train LAOM: continuous latent actions over one to several steps, with the squared error of learned features."""

    slots: int = 1
    """Number of slots that the numbers are divided into; prefixes end between slots."""
    dim: int = 128
    """Numbers per slot (the paper: 8192)."""
    horizon: int = 3
    """Largest number of steps to the later frame from which latent actions are inferred (the paper: 10)."""
    target_decay: float = 0.99
    """Decay of the moving average of the encoder whose features are predicted."""

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        for name in ("slots", "dim", "horizon"):
            whole(self, name, 1)
        if not real(self.target_decay, "target_decay") <= 1:
            raise ValueError(f"target_decay is {self.target_decay!r}; expected 0..1.")


def baseline_config(name: str, options: Any, lam: LAMConfig) -> SlotConfig:
    """Make the configuration of the model that a stage trains, at the size of a FlexLAM."""
    if name == "lapo":
        return lapo(lam, options.slots, options.size, options.dim, options.prefix)
    if name == "adaworld":
        return adaworld(lam, options.slots, options.dim, options.beta, options.prefix)
    return laom(lam, options.slots, options.dim, options.horizon, options.target_decay, options.prefix)


def _stage(name: str, summary: str, options: type[Any]) -> StageDefinition[Any]:
    def plan(options: Any, splits: Splits, coming: Mapping[str, Any]) -> FlexLAMRun:
        patches = options.encoder_patch, getattr(options, "decoder_patch", None)
        lam = fit_lam(RECIPES[options.preset].sizes.lam, frame_shape(splits), *patches)
        model = baseline_config(name, options, lam)
        latent_spec(model)  # refuses options that the quantizer does not take
        if isinstance(model, LAOMConfig):
            Windows(splits.train, model.horizon + 1)  # refuses rollouts whose episodes are all shorter
        return run_config(name, model, options, splits, FOLDER)

    def build(options: Any, config: FlexLAMRun, splits: Splits) -> LAMStage:
        rank, ranks = distributed.start(options.device)
        batch, place = config.loop.batch, {"device": config.loop.device}
        held_out = data.held_out_pairs(splits.test, RECIPES[options.preset].held_out)
        law = options.prefix_distribution
        if isinstance(config.model, LAOMConfig):
            length = config.model.horizon + 1
            windows = data.WindowSource(splits.train, length, batch, options.seed, rank, ranks, **place)
            return LAOMStage(LAOM(config.model), windows, held_out, prefix_distribution=law)
        pairs = data.PairSource(splits.train, batch, options.seed, rank, ranks, **place)
        return LAMStage(ForwardLAM(config.model), pairs, held_out, prefix_distribution=law)

    return StageDefinition(name, summary, options, plan, build, (FOLDER,), folder=lambda options: FOLDER)


LAPO_STAGE = _stage("lapo", "LAPO's latent action model, instead of lam", LAPOOptions)
ADAWORLD_STAGE = _stage("adaworld", "AdaWorld's latent action model, instead of lam", AdaWorldOptions)
LAOM_STAGE = _stage("laom", "LAOM's latent action model, instead of lam", LAOMOptions)
