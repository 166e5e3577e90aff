"""`python -m eval.closed_loop STUDY --data DIR --out DIR`: FlexLAM@K against Fixed-K models in closed loop, from a
finished alignment study.

For one seed of `eval.alignment`'s study it trains a sequence model on every latent action model (same data, steps and
order), bundles it with the study's translators, plays the suite at equal budgets, and puts the returns side by side as
`eval.matched` does (the paper's tables 1 and 9). A stopped command continues; more episodes extend finished suites;
models may be spread over several commands.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from flexlam_rl.envs.domains.dmlab.levels import SUITE
from flexlam_rl.eval.studies import matched
from flexlam_rl.eval.studies.alignment import FRACTIONS, Job
from flexlam_rl.eval.suite import command as suite
from flexlam_rl.eval.suite.results import RESULTS, read_results
from flexlam_rl.utils.command_line import run as run_command
from flexlam_rl.utils.number_lists import number_list


@dataclass(frozen=True)
class Options:
    """Put FlexLAM@K beside separately trained Fixed-K models in closed loop, from an alignment study."""

    study: tyro.conf.Positional[Path]
    """Folder of a finished `eval.alignment`, which has the latent action models and translators."""
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
    """Episodes a level."""
    levels: tuple[str, ...] = SUITE
    """Levels to play."""
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


def chosen(options: Options) -> tuple[list[int], list[str], list[Job]]:
    """Budgets, kinds of labels, and the models to train and play.

    Raises:
        ValueError: The folder is no study, or does not have what is asked for.
    """
    if not (options.study / "runs").is_dir() or not (options.study / "config.json").is_file():
        raise ValueError(f"{options.study} is no folder of an alignment study (python -m eval.alignment).")
    budgets = sorted(number_list("budgets", options.budgets, 1))
    kinds = options.labels.split(",")
    every = {job.model.partition("-")[0]: job for job in (Job(options.seed, slots) for slots in (None, *budgets))}
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


def run(options: Options) -> int:
    """Train and play what is missing, then write a table for each kind of labels whose suites are all there.

    Raises:
        ValueError: Options that do not fit the study, or the folder's bundles play in another way.
        TrainingError: A run's folder holds another sequence model.
    """
    from flexlam_rl.agents.policy.bundle import Decoding, read_config
    from flexlam_rl.agents.policy.bundling import make_bundle
    from flexlam_rl.models.flexlam.pipeline import TrainArgs, train_stage

    budgets, kinds, models = chosen(options)
    way = Decoding(options.temperature, context=options.context)
    preset = json.loads((options.study / "config.json").read_text(encoding="utf-8"))["preset"]
    # all training first: the suite divides the cores differently
    for number, job in enumerate(models):
        print(f"closed loop: sequence model {number + 1} of {len(models)}, {job.model}", flush=True)
        folder = options.study / "runs" / job.model
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
    for number, (job, kind) in enumerate((job, kind) for kind in kinds for job in models):
        print(f"closed loop: suite {number + 1} of {len(models) * len(kinds)}, {job.model}, {kind} labels", flush=True)
        folder, bundle = options.study / "runs" / job.model, options.out / "bundles" / f"{job.model}-{kind}"
        if not bundle.is_dir():
            make_bundle(folder, bundle, [options.data], decoding=way, aligned=folder / kind)
        elif (before := read_config(bundle).decoding) != way:
            raise ValueError(f"{bundle} plays with {before}, now {way} is asked for; give another --out.")
        suite.run(
            suite.Options(
                budget=options.budgets if job.slots is None else str(job.slots),
                checkpoint=str(bundle),
                tasks=options.levels,
                episodes=options.episodes,
                engine="litelab",
                seed=options.suite_seed,
                device=options.device,
                cache=options.cache,
                threads=options.threads,
                out=_played(options, job, kind),
            )
        )
    everything = [Job(options.seed, slots) for slots in (None, *budgets)]
    for kind in kinds:
        folders = [_played(options, job, kind) for job in everything]
        per_budget = options.episodes * len(options.levels)
        if all(
            _episodes(folder) == per_budget * (1 if job.slots else len(budgets))
            for job, folder in zip(everything, folders, strict=True)
        ):
            matched.run(matched.Options(flexlam=folders[0], fixed=tuple(folders[1:]), out=options.out / kind))
    return 0


def _played(options: Options, job: Job, kind: str) -> Path:
    return options.out / "suites" / f"{job.model}-{kind}"


def _episodes(folder: Path) -> int:
    """Episodes of a finished suite, 0 of an unfinished one."""
    return len(read_results(folder)["episodes"]) if (folder / RESULTS).is_file() else 0


if __name__ == "__main__":
    sys.exit(run_command(Options, run, None, "python -m eval.closed_loop"))
