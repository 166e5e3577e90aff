"""Options of `flexlam study matched`, its layers, and the options that all commands on one folder share."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from flexlam_rl.envs.domains.dmlab.levels import SUITE
from flexlam_rl.eval.studies.alignment import DEFAULT_BUDGETS, NARROW_TASK
from flexlam_rl.eval.studies.matched.contrasts import COMMITTED, KINDS, read_contrasts
from flexlam_rl.eval.studies.matched.variants import Variant, variant
from flexlam_rl.eval.studies.study import StudyOptions
from flexlam_rl.models.flexlam.config import PRESETS, Conditioning
from flexlam_rl.models.flexlam.priors import PriorName
from flexlam_rl.utils.number_lists import number_list
from flexlam_rl.utils.options import tidy, whole

Layer = Literal["latents", "oracle", "chain", "audit"]
SEEDS = {"latents": 5, "oracle": 5, "chain": 3, "audit": 5}
AMOUNTS = {"latents": "1,4,16,64", "oracle": "1,16", "chain": "16", "audit": "1"}


@dataclass(frozen=True)
class Options(StudyOptions):
    """Compare FlexLAM@K with Fixed-K models at equal budgets, over training seeds, by contrasts named beforehand."""

    layer: Layer
    """Layer to run. latents: translators on the test split, without play. oracle: an expert's next step is encoded, cut
    to K codes, translated and played. chain: the whole policy with a prior plays. audit: what the latents encode, and
    which of these figures correlate with the outcomes of the other layers. All layers share the models in --out.
    """
    data: Path
    """Folder of the rollouts (a training and a test split)."""
    out: Path
    """Folder of the study; the same command continues a stopped one in it."""
    preset: Literal["paper", "small", "tiny", "study", "debug"] = "study"
    models: str | None = None
    """Models to train, as in flexlam,flexlam-mixed,fixed4,fixed2-fsq5,flexlam64; None for the layer's default."""
    budgets: str | None = None
    """Budgets K of FlexLAM, as in 1,4,16; None for the preset's."""
    seeds: int | None = None
    """Number of training seeds; None for 5 without a prior and 3 for the chain."""
    first_seed: int = 0
    """First training seed, so that several commands can share the work."""
    labels: str = "standard,narrow"
    """Kinds of labels: standard (0.025% of all steps, uniform over tasks), narrow (0.04%, from one task)."""
    amounts: str | None = None
    """Amounts of labels in multiples of these shares, as in 1,4,16; None for the layer's default."""
    label_count: int | None = None
    """Number of labels of each kind at amount 1, instead of the shares."""
    narrow_task: str = NARROW_TASK
    """Task that the narrow labels come from."""
    contrasts: Path | None = None
    """File of the contrasts; None for those of the package with the preset `study`, and for none with other presets."""
    against: Path | None = None
    """Folder of a study that trained its models for another number of steps: the contrasts take their second column
    from there. For example one FlexLAM against Fixed-K models that trained as long as it, all of them together.
    """
    conditioning: Conditioning = "slots"
    """What every translator sees, as in `flexlam train`."""
    prior: PriorName = "factored"
    """Sequence model of the chain, as in `flexlam train`."""
    lam_steps: int | None = None
    """Number of steps of every latent action model, instead of the preset's."""
    steps: int | None = None
    """Number of steps of every sequence model, instead of the preset's."""
    translator_steps: int | None = None
    """Number of steps of every translator, instead of the preset's."""
    held_out: int = 4000
    """Number of transitions of the test split that every translator is measured on."""
    pairs: int = 2048
    """Number of pairs of steps that every audit uses."""
    episodes: int = 20
    """Number of episodes per task."""
    tasks: tuple[str, ...] = SUITE
    """Tasks to play, also in the audit."""
    suite_seed: int = 0
    """Seed of all episodes."""
    cache: Path | None = None
    """Folder for a raw copy of the frames, which reads faster."""
    threads: int | None = None
    """Number of threads of the policy on a CPU; by default one per core."""
    device: str = "cpu"

    def __post_init__(self) -> None:
        tidy(self)
        for name in ("seeds", "label_count", "held_out", "pairs", "episodes", "lam_steps", "steps", "translator_steps"):
            whole(self, name, 1)
        for name in ("first_seed", "suite_seed"):
            whole(self, name, 0)


@dataclass(frozen=True)
class Config:
    """Options that all commands on one folder must share; layers, models, seeds and labels may be added."""

    preset: str
    conditioning: str
    prior: str
    narrow_task: str
    label_count: int | None
    lam_steps: int | None
    steps: int | None
    translator_steps: int | None
    held_out: int
    pairs: int
    episodes: int
    tasks: tuple[str, ...]
    suite_seed: int
    data: tuple[str, ...]
    contrasts: tuple[dict[str, Any], ...] = field(default=())
    """Contrasts, named before the first run: a folder with results accepts no others."""


@dataclass(frozen=True)
class Choice:
    """The checked choice that the options make."""

    layer: str
    models: list[Variant]
    budgets: list[int]
    seeds: range
    labels: list[str]
    amounts: list[int]

    def cells(self, model: Variant) -> list[tuple[str, int, list[int]]]:
        """Return the kind of labels, the amount and the budgets of each translator that the layer needs on a model.

        With narrow labels, the whole chain plays only at the largest budget.
        """
        last = max(self.budgets)
        found = []
        for labels in self.labels:
            for amount in self.amounts:
                budgets = model.budgets(self.budgets)
                if self.layer == "chain" and labels == "narrow":
                    budgets = [k for k in budgets if k == last]
                if budgets:
                    found.append((labels, amount, budgets))
        return found


def chosen(options: Options) -> Choice:
    """Read the options' lists.

    Raises:
        ValueError: There is no such model, budget, kind of labels or amount.
    """
    slots = PRESETS[options.preset].lam.slots
    budgets = sorted(number_list("budgets", options.budgets or DEFAULT_BUDGETS[options.preset], 1, slots))
    names = _defaults(options.layer, budgets) if options.models is None else options.models.split(",")
    if len(set(names)) < len(names):
        raise ValueError(f"models names a model twice: {options.models}.")
    kinds = options.labels.split(",")
    for kind in kinds:
        if kind not in KINDS or kinds.count(kind) > 1:
            raise ValueError(f"labels has {kind!r}; expected each of {', '.join(KINDS)} once at most.")
    first = options.first_seed
    return Choice(
        options.layer,
        [variant(name) for name in names],
        budgets,
        range(first, first + (options.seeds or SEEDS[options.layer])),
        kinds,
        number_list("amounts", options.amounts or AMOUNTS[options.layer], 1),
    )


def _defaults(layer: str, budgets: list[int]) -> list[str]:
    """Return the default models: both FlexLAMs, one Fixed-K model per budget, and the two-slot model with few codes;
    without play, also FlexLAM with four times as many slots.
    """
    if layer == "chain":
        return ["flexlam-mixed", *(f"fixed{k}" for k in budgets[1:] or budgets)]
    names = ["flexlam", "flexlam-mixed", *(f"fixed{k}" for k in budgets), "fixed2-fsq5"]
    wide = 4 * budgets[-1]
    return names if layer == "oracle" else [*names, f"flexlam{wide}", f"flexlam{wide}-mixed", f"fixed{wide}"]


def named_contrasts(options: Options) -> tuple[Any, ...]:
    """Read the contrasts of all layers.

    Raises:
        ValueError: The file holds no contrasts.
    """

    if options.contrasts is not None:
        return read_contrasts(options.contrasts)
    return read_contrasts(COMMITTED) if options.preset == "study" else ()
