"""`flexlam study alignment --data DIR --out DIR`: compare FlexLAM@K with separately trained Fixed-K models at equal
budgets, and with the latent action models of other papers, without rollouts.

For each seed, it trains FlexLAM once, one Fixed-K model per budget, and a translator on each of them for each kind of
labels, all with the same data, labels, steps and choice of checkpoint. Then it measures every translator on the test
split. A killed study continues with the same command; more seeds, budgets or labels extend a finished one. See
docs/alignment.md.
"""

import functools
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from flexlam_rl.eval.studies.alignment_methods import CONTINUOUS, NAMES, Job, steps_in, train_lam
from flexlam_rl.eval.studies.study import Study, StudyDefinition, StudyOptions
from flexlam_rl.eval.studies.translator_rows import translator_rows
from flexlam_rl.models.flexlam.config import Conditioning
from flexlam_rl.utils.command_line import run as run_command
from flexlam_rl.utils.files import read_json
from flexlam_rl.utils.number_lists import number_list
from flexlam_rl.utils.numbers import real
from flexlam_rl.utils.options import formerly, takes_former_names, tidy

NARROW_TASK = "lasertag_one_opponent_large"
# shares of all steps (paper, section 5 and appendix C): uniform over tasks, or from one task outside the suite
FRACTIONS = {"standard": 0.00025, "narrow": 0.0004}
STEPS = "steps.json"
"""File with the number of steps that take --seconds, by model."""
DEFAULT_BUDGETS = {"paper": "4,16,64", "small": "4,16,64", "tiny": "1,4,16", "study": "1,4,16", "debug": "1,2,4"}


@takes_former_names
@dataclass(frozen=True)
class Options(StudyOptions):
    """Compare FlexLAM@K with separately trained Fixed-K models by how well actions align, at equal budgets."""

    data: Path
    """Folder of the rollouts (a training and a test split)."""
    out: Path
    """Folder of the study; the same command continues a stopped one in it."""
    preset: Literal["paper", "small", "tiny", "study", "debug"] = "tiny"
    budgets: str | None = None
    """Budgets K, as in 4,16,64; None for the preset's."""
    seeds: int = 3
    """Number of seeds; a seed determines weights, data order and labels."""
    steps: int | None = None
    """Number of steps of every latent action model, instead of the preset's."""
    models: str = "flexlam,fixed"
    """Methods to compare, flexlam first: fixed and lapo are trained at every budget with the same number of codes per
    slot, adaworld and laom (continuous) at every size of --numbers.
    """
    numbers: str = "32"
    """Sizes of the continuous methods' latent actions, in numbers, as in 8,32."""
    seconds: float | None = None
    """Seconds of processor time that every latent action model trains, instead of --steps; a trial measures how many
    steps these are. Only on a CPU.
    """
    translator_steps: int | None = None
    """Number of steps of every translator, instead of the preset's."""
    labels: str = "standard,narrow"
    """Kinds of labels: standard (uniform over tasks), narrow (one task)."""
    label_count: int | None = None
    """Number of labels of each kind, including those for validation; None for the paper's shares, 0.025% and 0.04% of
    all steps.
    """
    narrow_task: str = field(default=NARROW_TASK, metadata=formerly("narrow_level"))
    """Task that the narrow labels come from."""
    held_out: int = 4000
    """Number of transitions of the test split that every translator is measured on."""
    cache: Path | None = None
    """Folder for a raw copy of the frames, which reads faster."""
    prefix_distribution: Literal["uniform", "mixed"] = field(default="uniform", metadata=formerly("prefix_law"))
    """How FlexLAM and its translators draw prefix lengths, as in `flexlam train`."""
    fsq_levels: tuple[int, ...] | None = field(default=None, metadata=formerly("levels"))
    """FSQ levels of every latent action model, as in `flexlam train`."""
    conditioning: Conditioning = "slots+action"
    """What every translator sees, as in `flexlam train`; docs/translator.md says which plays best."""
    device: str = "cpu"
    precision: Literal["fp32", "bf16"] | None = None
    """Arithmetic of training, as in `flexlam train`."""

    def __post_init__(self) -> None:
        tidy(self)


@dataclass(frozen=True)
class Config:
    """Options that all commands on one folder must share."""

    preset: str
    steps: int | None
    translator_steps: int | None
    label_count: int | None
    narrow_task: str = field(metadata=formerly("narrow_level"))
    held_out: int
    precision: str | None
    prefix_distribution: str | None = field(metadata=formerly("prefix_law"))
    """Name of the distribution; None for the uniform one."""
    data: tuple[str, ...]
    fsq_levels: tuple[int, ...] | None = field(default=None, metadata={"later": True, **formerly("levels")})
    conditioning: str = field(default="slots+action", metadata={"later": True})
    seconds: float | None = field(default=None, metadata={"later": True})


def parse(options: Options) -> tuple[list[int], list[str]]:
    """Return the budgets and the kinds of labels.

    Raises:
        ValueError: A budget is outside 1..M, a kind of labels is unknown, or a count is below 1.
    """
    from flexlam_rl.models.flexlam.config import PRESETS

    slots = PRESETS[options.preset].lam.slots
    budgets = sorted(number_list("budgets", options.budgets or DEFAULT_BUDGETS[options.preset], 1, slots))
    kinds = options.labels.split(",")
    for kind in kinds:
        if kind not in FRACTIONS:
            raise ValueError(f"labels has {kind!r}; expected some of {', '.join(FRACTIONS)}.")
    for name in ("seeds", "held_out"):
        if getattr(options, name) < 1:
            raise ValueError(f"{name} is {getattr(options, name)}; at least 1 is needed.")
    return budgets, kinds


def methods_of(options: Options) -> list[tuple[str, list[int]]]:
    """Return each method besides FlexLAM with the sizes that it is trained at: budgets, or sizes in numbers.

    Raises:
        ValueError: A method is unknown, FlexLAM is missing, a number is below 1, both steps and seconds are given, or
            seconds are given for another device than a CPU.
    """
    names = options.models.split(",")
    for name in names:
        if name not in NAMES:
            raise ValueError(f"models has {name!r}; expected some of {', '.join(NAMES)}.")
    if names[0] != "flexlam" or len(set(names)) != len(names):
        raise ValueError(f"models is {options.models!r}; expected flexlam first, and each method once.")
    if options.seconds is not None:
        real(options.seconds, "seconds", 1.0)
        if options.steps is not None:
            raise ValueError(f"steps is {options.steps} and seconds is {options.seconds:g}; give one of them.")
        if not options.device.startswith("cpu"):
            raise ValueError(
                f"seconds is {options.seconds:g}, of processor time, and device is {options.device!r}; give steps."
            )
    budgets, numbers = parse(options)[0], sorted(number_list("numbers", options.numbers, 1))
    return [(name, numbers if name in CONTINUOUS else budgets) for name in names[1:]]


def jobs(
    budgets: list[int], kinds: list[str], seeds: int, methods: list[tuple[str, list[int]]] | None = None
) -> Iterator[Job]:
    """Return all jobs, seed by seed, so that a stopped study has whole comparisons; without `methods`, those of FlexLAM
    and Fixed-K.
    """
    for seed in range(seeds):
        models = [Job(seed, None)]
        for method, sizes in [("fixed", budgets)] if methods is None else methods:
            models += [Job(seed, size, method=method) for size in sizes]
        for job in models:
            yield job
            for kind in kinds:
                yield replace(job, labels=kind)


def codes_of(options: Options) -> int:
    """Return the number of codes per slot of every discrete model, V."""
    from flexlam_rl.models.flexlam.config import PRESETS

    return math.prod(options.fsq_levels or PRESETS[options.preset].lam.levels)


def train(job: Job, options: Options) -> None:
    """Train a job; a finished one returns at once, a stopped one continues."""
    from flexlam_rl.models.flexlam.pipeline import TrainArgs, train_stage

    folder = options.out / "runs" / job.model
    args = TrainArgs(
        data=options.data,
        out=folder,
        preset=options.preset,
        fixed=job.slots if job.method == "fixed" else None,
        cache=options.cache,
        seed=job.seed,
        device=options.device,
        steps=options.steps,
        fsq_levels=options.fsq_levels,
        precision=options.precision,
        prefix_distribution=options.prefix_distribution if job.slots is None else "uniform",
    )
    if not job.labels:
        if options.seconds is not None:

            def trial(place: Path, steps: int) -> None:
                train_lam(job, replace(args, out=place, steps=steps), codes_of(options))

            steps = steps_in(options.seconds, options.out / STEPS, job.variant, trial)
            args = replace(args, steps=steps)
        train_lam(job, args, codes_of(options))
        return
    amount = options.label_count or f"{FRACTIONS[job.labels]:.5f}"
    changes: dict[str, Any] = {
        "conditioning": options.conditioning,
        "out": folder / job.labels,
        "lam_run": folder,
        "steps": options.translator_steps,
        # drawn once per seed, and the same for all models
        "labels": f"alignment-{job.labels}-{amount}-seed{job.seed}",
        "label_count": options.label_count,
        "label_fraction": FRACTIONS[job.labels],
        "label_task": options.narrow_task if job.labels == "narrow" else None,
    }
    train_stage("translator", TrainArgs(**{**vars(args), **changes}))


def measure(job: Job, options: Options, budgets: list[int], data: Any) -> list[dict[str, Any]]:
    """Measure a translator: FlexLAM's at every budget and at K = 0 (only the previous action), others' at their own."""
    folder = options.out / "runs" / job.model
    common = {"model": job.title, "labels": job.labels, "seed": job.seed}
    wanted = [0, *budgets] if job.slots is None else None
    rows = translator_rows(folder, folder / job.labels, data, wanted, options.device)
    comparable = job.slots is None or job.method == "fixed"
    return [
        common
        | {name: value for name, value in row.items() if name != "error"}
        | ({"flow_loss": row["error"]} if comparable else {})
        for row in rows
    ]


def plan(options: Options) -> Study[Job]:
    """Make the study.

    Raises:
        ValueError: Options do not fit each other or the data.
    """
    from flexlam_rl.datasets import open_rollouts
    from flexlam_rl.eval.lam.health import load_transitions
    from flexlam_rl.eval.studies import alignment_report
    from flexlam_rl.eval.studies.clock import seconds_per_step
    from flexlam_rl.eval.studies.trained_models import only_choices
    from flexlam_rl.models.flexlam.recipes import RECIPES

    budgets, kinds = parse(options)
    methods = methods_of(options)
    rollouts, test = open_rollouts(options.data, split="train"), open_rollouts(options.data, split="test")
    if "narrow" in kinds and options.narrow_task not in rollouts.levels:
        raise ValueError(
            f"the narrow labels' task {options.narrow_task!r} is not among the rollouts: {', '.join(rollouts.levels)}."
        )
    config = Config(
        options.preset,
        options.steps,
        options.translator_steps,
        options.label_count,
        options.narrow_task,
        options.held_out,
        options.precision,
        None if options.prefix_distribution == "uniform" else options.prefix_distribution,
        (*rollouts.digests, *test.digests),
        options.fsq_levels,
        options.conditioning,
        options.seconds,
    )
    data = load_transitions(test, options.held_out, seed=0, labelled=True)
    if data.action is None:
        raise ValueError(f"the rollouts in {options.data} have no actions; alignment needs them.")
    only_choices(test, "alignment")
    held_out = functools.cache(lambda: data.to(options.device))

    def measured(job: Job) -> bool:
        # a latent action model is needed until all its translators have been measured
        needed = [job] if job.labels else [replace(job, labels=kind) for kind in kinds]
        return all(_measured(options.out, other, budgets) for other in needed)

    recipe = RECIPES[options.preset]

    def steps(job: Job) -> int:
        if job.labels:
            return options.translator_steps or recipe.translator.steps
        known = options.out / STEPS
        counted = read_json(known).get(job.variant) if options.seconds is not None and known.exists() else None
        return counted or options.steps or recipe.lam.steps

    return Study(
        title="alignment",
        jobs=list(jobs(budgets, kinds, options.seeds, methods)),
        train=lambda job: train(job, options),
        measure=lambda job: measure(job, options, budgets, held_out()) if job.labels else None,
        report=lambda: alignment_report.write(options.out, config, test),
        out=options.out,
        config=config,
        steps=steps,
        finished=measured,
        # with --seconds, the number of steps is not known before the trials
        guesses=seconds_per_step(options.preset, options.device) if options.seconds is None else {},
    )


def _measured(out: Path, job: Job, budgets: list[int]) -> bool:
    """Return whether a translator has rows for all budgets; measuring it again for more budgets is cheap."""
    result = out / "results" / f"{job.name}.json"
    return result.exists() and (
        job.slots is not None
        or {row["budget"] for row in json.loads(result.read_text(encoding="utf-8"))} >= set(budgets)
    )


STUDY = StudyDefinition(Options, plan, "FlexLAM@K against Fixed-K models at equal budgets, without rollouts")
run = STUDY.run

if __name__ == "__main__":
    sys.exit(run_command(Options, run, None, "flexlam study alignment"))
