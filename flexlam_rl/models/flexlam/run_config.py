"""Contents of config.json in runs of FlexLAM's stages, and the loops of these stages."""

from dataclasses import dataclass, field
from typing import Any

from flexlam_rl.models.flexlam.frame_fit import check_frames
from flexlam_rl.models.flexlam.options import PresetOptions, SequenceOptions
from flexlam_rl.models.flexlam.priors import OVER_TIME
from flexlam_rl.models.flexlam.recipes import RECIPES
from flexlam_rl.train import loop_options
from flexlam_rl.train.definition import RunConfig, Splits
from flexlam_rl.train.trainer import LoopConfig
from flexlam_rl.utils.options import formerly


@dataclass(frozen=True)
class FlexLAMRun(RunConfig):
    """Configuration of a stage."""

    labels: str = ""
    prefix_distribution: str | None = field(default=None, metadata=formerly("prefix_law"))
    """Distribution of prefix lengths; None for the uniform one, as in folders from before there was another."""
    long_share: float | None = field(default=None, metadata={"later": True})
    """Share of steps on whole contexts, if it is not the preset's."""
    targets: str | None = field(default=None, metadata={"later": True})
    """What steps predict, if it is not whole blocks."""
    drop_frames: float = field(default=0.0, metadata={"later": True})
    drop_blocks: float = field(default=0.0, metadata={"later": True})
    prior: str = field(default="interleaved", metadata={"later": True})
    """Kind of the sequence model."""
    lam: str | None = field(default=None, metadata={"later": True})
    """Digest of the LAM whose codes the stage is trained on; the codes of another LAM mean something else."""
    balance: bool = field(default=False, metadata={"later": True})
    label_rows: str | None = field(default=None, metadata={"later": True, "unknown before": True})
    """Digest of the labels; a set drawn anew under the same name has another one."""


def loop_config(stage: str, options: PresetOptions, folder: str | None = None) -> LoopConfig:
    """Make the loop configuration of a stage: the preset's, with the changes that options make.

    Args:
        stage: Name of the stage.
        options: Its options.
        folder: Name of its folder in the run; None for the stage's name.
    """
    recipe = RECIPES[options.preset]
    # every baseline trains like the translator; those that also learn to see train at the rate of the IDM
    prior = recipe.prior(getattr(options, "prior", "interleaved"))
    named = {"lam": recipe.lam, "sequence": prior, "joint": recipe.joint, "idm": recipe.idm, "bc": recipe.idm}
    named["budget"] = recipe.idm
    folder = folder or stage
    return loop_options.loop_config(named.get(folder, recipe.translator), options, options.out / folder)


def run_config(
    stage: str, model: Any, options: PresetOptions, data: Splits, folder: str | None = None, **more: Any
) -> FlexLAMRun:
    """Make the whole configuration of a stage.

    Args:
        stage: Name of the stage.
        model: Configuration of the model.
        options: Options of the stage.
        data: The rollouts.
        folder: Name of its folder in the run; None for the stage's name.
        more: Further fields of `FlexLAMRun`.

    Raises:
        ValueError: Frames of the rollouts and of the model differ in size.
    """
    check_frames(model, data)
    distribution = getattr(options, "prefix_distribution", "uniform")
    return FlexLAMRun(
        stage, model, loop_config(stage, options, folder), tuple(data.train.digests),
        prefix_distribution=None if distribution == "uniform" else distribution, **more,
    )  # fmt: skip


def windows(options: SequenceOptions) -> tuple[int, int, float]:
    """Frames of a prior's short and whole windows, and the share of its steps on whole ones."""
    recipe = RECIPES[options.preset]
    if options.prior in OVER_TIME:
        # the last frame of a window is no decision, because what follows it is not known
        recurrent = options.prior == "recurrent"
        length = (options.context or (recipe.recurrent_sizes if recurrent else recipe.factored_sizes).frames) + 1
        # short windows would teach a recurrent prior to forget
        usual = 1.0 if recurrent else recipe.factored_long_share
        return min(recipe.factored_short, length), length, usual if options.long_share is None else options.long_share
    long_share = recipe.long_share if options.long_share is None else options.long_share
    return recipe.short_frames, recipe.sizes.sequence.frames if long_share else recipe.short_frames, long_share
