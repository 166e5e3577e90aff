"""`flexlam study closed_loop STUDY --data DIR --out DIR`: FlexLAM@K against Fixed-K models in closed loop, from a
finished alignment study.

For one seed of an alignment study it trains a sequence model on every latent action model (same data, steps and
order), bundles it with the study's translators, plays the suite at equal budgets, and puts the returns side by side as
`flexlam study matched` does (the paper's tables 1 and 9). A stopped command continues; more episodes extend finished
suites; models may be spread over several commands.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import tyro

from flexlam_rl.envs.domains.dmlab.levels import SUITE
from flexlam_rl.eval.studies import matched
from flexlam_rl.eval.studies.alignment import FRACTIONS
from flexlam_rl.eval.studies.alignment import Job as Model
from flexlam_rl.eval.studies.study import Study, StudyDefinition, StudyOptions
from flexlam_rl.eval.suite import command as suite
from flexlam_rl.eval.suite.results import RESULTS, read_results
from flexlam_rl.utils.command_line import run as run_command
from flexlam_rl.utils.number_lists import number_list
from flexlam_rl.utils.options import formerly, takes_former_names


@takes_former_names
@dataclass(frozen=True)
class Options(StudyOptions):
    """Put FlexLAM@K beside separately trained Fixed-K models in closed loop, from an alignment study."""

    study: tyro.conf.Positional[Path]
    """Folder of a finished alignment study, which has the latent action models and translators."""
    data: Path
    """Folder of the rollouts that the study was trained on."""
    out: Path
    """Folder of the bundles, suites and tables; the same command continues a stopped one in it."""
    budgets: str = "1,4,16"
    """Budgets K, of those in the study."""
    labels: str = "standard,narrow"
    """Kinds of labels, of those in the study."""
    models: str | None = None
    """Train and play these only, as in flexlam,fixed4; None for FlexLAM and a Fixed-K model for each budget."""
    seed: int = 0
    """Which seed of the study."""
    steps: int | None = None
    """Steps of every sequence model, instead of the preset's."""
    long_share: float | None = None
    """Share of those steps that see whole contexts, as of `flexlam train`."""
    compile: bool | None = None
    """torch.compile in training, as of `flexlam train`."""
    episodes: int = 50
    """Episodes per task."""
    tasks: tuple[str, ...] = field(default=SUITE, metadata=formerly("levels"))
    """Tasks to play."""
    suite_seed: int = 0
    """Seed of all episodes."""
    temperature: float = 1.0
    """Of the codes in play, the same for all models."""
    context: int | None = None
    """Frames back that a decision sees in play, the same for all models; None for all that the sequence models were
    trained with.
    """
    cache: Literal["fp32", "bf16"] = "fp32"
    """Type of cached keys and values in play, as of `eval.suite`."""
    threads: int | None = None
    """Threads of the policy on a CPU; default: all cores."""
    device: str = "cpu"


@dataclass(frozen=True)
class Job:
    """The sequence model of one latent action model, or a suite that it plays with one translator (`labels`)."""

    model: Model
    labels: str = ""

    @property
    def name(self) -> str:
        """Name of the job: fixed4-seed0-sequence, fixed4-seed0-narrow-suite."""
        return f"{self.model.model}-{f'{self.labels}-suite' if self.labels else 'sequence'}"

    @property
    def kind(self) -> str:
        """What the job is."""
        return "suite" if self.labels else "sequence model"


def chosen(options: Options) -> tuple[list[int], list[str], list[Model]]:
    """Budgets, kinds of labels, and the models to train and play.

    Raises:
        ValueError: The folder is no study, or does not have what is asked for.
    """
    if not (options.study / "runs").is_dir() or not (options.study / "config.json").is_file():
        raise ValueError(f"{options.study} is no folder of an alignment study (flexlam study alignment).")
    budgets = sorted(number_list("budgets", options.budgets, 1))
    kinds = options.labels.split(",")
    every = {job.model.partition("-")[0]: job for job in _models(options, budgets)}
    names = list(every) if options.models is None else options.models.split(",")
    for name in names:
        if name not in every:
            raise ValueError(f"models has {name!r}; expected some of {', '.join(every)}.")
    for kind in kinds:
        if kind not in FRACTIONS:
            raise ValueError(f"labels has {kind!r}; expected some of {', '.join(FRACTIONS)}.")
        for name in names:
            folder = options.study / "runs" / every[name].model
            for place in (folder / "lam" / "best" / "lam", folder / kind / "translator" / "best" / "translator"):
                if not place.is_dir():
                    raise ValueError(f"{place} is missing: the study has no such model yet.")
    return budgets, kinds, [every[name] for name in names]


def _models(options: Options, budgets: list[int]) -> list[Model]:
    return [Model(options.seed, slots) for slots in (None, *budgets)]


def train_sequence(model: Model, options: Options, preset: Any) -> None:
    """Train the sequence model of a latent action model, in its folder of the alignment study."""
    from flexlam_rl.models.flexlam.pipeline import TrainArgs, train_stage

    folder = options.study / "runs" / model.model
    train_stage(
        "sequence",
        TrainArgs(
            options.data,
            folder,
            preset,
            seed=options.seed,
            steps=options.steps,
            long_share=options.long_share,
            compile=options.compile,
            device=options.device,
        ),
    )


def play(job: Job, options: Options) -> None:
    """Bundle the models of a job, and let them play the suite."""
    from flexlam_rl.agents.policy.bundling import make_bundle

    model, folder = job.model, options.study / "runs" / job.model.model
    bundle = _bundle(options, model, job.labels)
    if not bundle.is_dir():
        make_bundle(folder, bundle, [options.data], decoding=_decoding(options), aligned=folder / job.labels)
    suite.run(
        suite.Options(
            budget=options.budgets if model.slots is None else str(model.slots),
            checkpoint=str(bundle),
            tasks=options.tasks,
            episodes=options.episodes,
            engine="litelab",
            seed=options.suite_seed,
            device=options.device,
            cache=options.cache,
            threads=options.threads,
            out=_played(options, model, job.labels),
        )
    )


def plan(options: Options) -> Study[Job]:
    """Make the study.

    Raises:
        ValueError: Options that do not fit the alignment study, or the folder's bundles play in another way.
    """
    from flexlam_rl.agents.policy.bundle import read_config
    from flexlam_rl.eval.studies.clock import seconds_per_step
    from flexlam_rl.models.flexlam.recipes import RECIPES

    budgets, kinds, models = chosen(options)
    preset = json.loads((options.study / "config.json").read_text(encoding="utf-8"))["preset"]
    way = _decoding(options)
    for bundle in (_bundle(options, model, labels) for labels in kinds for model in models):
        if bundle.is_dir() and (before := read_config(bundle).decoding) != way:
            raise ValueError(f"{bundle} plays with {before}, now {way} is asked for; give another --out.")
    length = options.steps or RECIPES[preset].sequence.steps

    def episodes(model: Model) -> int:
        return options.episodes * len(options.tasks) * (1 if model.slots else len(budgets))

    def is_played(model: Model, labels: str) -> bool:
        return _episodes(_played(options, model, labels)) == episodes(model)

    def finished(job: Job) -> bool:
        if job.labels:
            return is_played(job.model, job.labels)
        return _trained(options.study / "runs" / job.model.model / "sequence") >= length

    def report() -> str:
        for labels in kinds:
            if all(is_played(model, labels) for model in _models(options, budgets)):
                flexlam, *fixed = (_played(options, model, labels) for model in _models(options, budgets))
                matched.run(matched.Options(flexlam=flexlam, fixed=tuple(fixed), out=options.out / labels))
        return ""

    return Study(
        title="closed loop",
        # all training first: the suite divides the cores differently
        jobs=[*(Job(model) for model in models), *(Job(model, labels) for labels in kinds for model in models)],
        train=lambda job: play(job, options) if job.labels else train_sequence(job.model, options, preset),
        measure=lambda job: None,  # a suite keeps its own results
        report=report,
        out=options.out,
        steps=lambda job: episodes(job.model) if job.labels else length,
        finished=finished,
        revisit=True,
        guesses=seconds_per_step(preset, options.device),
    )


def _decoding(options: Options) -> Any:
    from flexlam_rl.agents.policy.bundle import Decoding

    return Decoding(options.temperature, context=options.context)


def _bundle(options: Options, model: Model, labels: str) -> Path:
    return options.out / "bundles" / f"{model.model}-{labels}"


def _played(options: Options, model: Model, labels: str) -> Path:
    return options.out / "suites" / f"{model.model}-{labels}"


def _trained(folder: Path) -> int:
    """Steps that a stage has trained, 0 where it has not begun."""
    from flexlam_rl.train.state import STATE, saved_step

    return saved_step(folder / STATE) if (folder / STATE).exists() else 0


def _episodes(folder: Path) -> int:
    """Episodes of a finished suite, 0 of an unfinished one."""
    return len(read_results(folder)["episodes"]) if (folder / RESULTS).is_file() else 0


STUDY = StudyDefinition(Options, plan, "FlexLAM@K against Fixed-K models in closed loop, from an alignment study")
run = STUDY.run

if __name__ == "__main__":
    sys.exit(run_command(Options, run, None, "flexlam study closed_loop"))
