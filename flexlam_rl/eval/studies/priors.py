"""`flexlam study priors`: compare priors over codes and over vectors in closed loop.

For each seed, it trains a latent action model and its translator for each bottleneck, and one prior of each kind on it,
and plays the suite at one budget. Codes (fsq) work with every prior, numbers (gaussian) only with the continuous ones.
Rows of one bottleneck and seed differ only in the prior.
"""

import json
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from flexlam_rl.envs.domains.dmlab.levels import SUITE
from flexlam_rl.eval.studies.study import Rows, Study, StudyDefinition, StudyOptions
from flexlam_rl.models.flexlam.priors import CONTINUOUS, PRIORS, PriorName
from flexlam_rl.utils.files import write_atomically, write_json
from flexlam_rl.utils.options import free, tidy, whole

Bottleneck = Literal["fsq", "gaussian"]


@dataclass(frozen=True, kw_only=True)
class Options(StudyOptions):
    """Compare discrete and continuous priors: return, milliseconds and training seconds."""

    data: Path
    """Folder of the rollouts."""
    out: Path
    """Folder of the study; the same command continues it."""
    preset: Literal["paper", "small", "tiny", "study", "debug"] = "study"
    """Preset of sizes, lengths and rates of all stages."""
    priors: tuple[PriorName, ...] = tuple(PRIORS)
    """Kinds of priors."""
    bottlenecks: tuple[Bottleneck, ...] = ("fsq", "gaussian")
    """Quantizers of the latent action models: for codes, for numbers."""
    seeds: int = 3
    """Number of trainings of every model."""
    budget: int = 16
    """Number of slots per decision, K."""
    episodes: int = 50
    """Number of episodes per task and seed."""
    tasks: tuple[str, ...] = SUITE
    """Tasks to play."""
    steps: int | None = None
    """Number of steps of every stage, instead of the preset's."""
    label_count: int | None = None
    """Number of labels of the translators, instead of the paper's share."""
    device: str = field(default="cpu", metadata=free())

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: An option is out of range, or no prior fits a bottleneck.
        """
        tidy(self)
        for name in ("seeds", "budget", "episodes"):
            whole(self, name, 1)
        for name in ("priors", "bottlenecks", "tasks"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ValueError(f"{name} is {values}; expected at least one, and none twice.")
        if self.bottlenecks == ("gaussian",) and not set(self.priors) & set(CONTINUOUS):
            raise ValueError(f"priors is {self.priors}; latent actions of numbers need one of {', '.join(CONTINUOUS)}.")


@dataclass(frozen=True)
class Job:
    """A latent action model with its translator, or a prior on it and its play."""

    bottleneck: Bottleneck
    seed: int
    prior: PriorName | None = None

    @property
    def kind(self) -> str:
        """Name of the prior, or of the models that are trained before it."""
        return self.prior or "LAM and translator"

    @property
    def name(self) -> str:
        """Name of bottleneck, seed and prior."""
        return f"{self.bottleneck}-{self.seed}" + (f"-{self.prior}" if self.prior else "")


def jobs_of(options: Options) -> list[Job]:
    """Return all jobs, in the order in which they are done."""
    jobs = []
    for seed in range(options.seeds):
        for bottleneck in options.bottlenecks:
            fitting = [prior for prior in options.priors if bottleneck == "fsq" or prior in CONTINUOUS]
            if fitting:
                jobs += [Job(bottleneck, seed), *(Job(bottleneck, seed, prior) for prior in fitting)]
    return jobs


def plan(options: Options) -> Study[Job]:
    """Make the study.

    Raises:
        ValueError: The data, a task or the budget does not fit.
    """
    from flexlam_rl.datasets import open_rollouts
    from flexlam_rl.envs.domain import find_domain
    from flexlam_rl.models.flexlam.recipes import RECIPES

    open_rollouts(options.data, split="train")
    for task in options.tasks:
        find_domain("dmlab").task(task)
    recipe = RECIPES[options.preset]
    if options.budget > recipe.sizes.lam.slots:
        raise ValueError(
            f"budget is {options.budget}; the preset {options.preset!r} has {recipe.sizes.lam.slots} slots."
        )

    def steps(job: Job) -> int:
        return options.steps or (recipe.lam if job.prior is None else recipe.prior(job.prior)).steps

    study = Study(
        title="priors",
        jobs=jobs_of(options),
        train=lambda job: train(job, options),
        measure=lambda job: measured(job, options),
        report=lambda: report(study, options),
        out=options.out,
        config=options,
        steps=steps,
    )
    return study


def train(job: Job, options: Options) -> None:
    """Train a job's models, or continue; the seconds that this took are kept, also after an interruption."""
    from flexlam_rl.models.flexlam.pipeline import TrainArgs, train_stage

    shared, own = options.out / "runs" / Job(job.bottleneck, job.seed).name, options.out / "runs" / job.name
    arguments: dict[str, Any] = {
        "data": options.data, "out": own, "preset": options.preset, "seed": job.seed, "steps": options.steps,
        "device": options.device,
    }  # fmt: skip
    began, path = time.monotonic(), own / "seconds.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else 0.0
    try:
        if job.prior is None:
            arguments |= {"quantizer": job.bottleneck, "label_count": options.label_count}
            for stage in ("lam", "translator"):
                train_stage(stage, TrainArgs(**arguments))
        else:
            train_stage("sequence", TrainArgs(**arguments, prior=job.prior, lam_run=shared))
    finally:
        if own.is_dir():
            write_json(path, before + time.monotonic() - began)


def measured(job: Job, options: Options) -> Rows:
    """Bundle a prior with its latent action model and translator, let it play, and time it."""
    from flexlam_rl.agents.policy.bundling import make_bundle
    from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
    from flexlam_rl.eval.latency import measure_latency
    from flexlam_rl.eval.suite import command as suite
    from flexlam_rl.eval.suite.results import read_results
    from flexlam_rl.eval.suite.table import summaries_of

    own = options.out / "runs" / job.name
    row: dict[str, Any] = {
        "bottleneck": job.bottleneck, "seed": job.seed, "prior": job.prior,
        "seconds": round(float(json.loads((own / "seconds.json").read_text(encoding="utf-8"))), 1),
    }  # fmt: skip
    if job.prior is None:
        return [row]
    shared, bundle = options.out / "runs" / Job(job.bottleneck, job.seed).name, options.out / "bundles" / job.name
    shutil.copytree(shared / "lam/best/lam", own / "lam/best/lam", dirs_exist_ok=True)
    make_bundle(own, bundle, [options.data], aligned=shared)
    played = options.out / "suites" / job.name
    suite.run(
        suite.Options(
            budget=str(options.budget), checkpoint=str(bundle), tasks=options.tasks, episodes=options.episodes,
            engine="litelab", seed=job.seed, device=options.device, out=played,
        )
    )  # fmt: skip
    found = next(iter(summaries_of(read_results(played)).values()))
    policy = LatentActionPolicy.from_pretrained(bundle, options.budget, device=options.device)
    speed = measure_latency(policy, options.budget, 1, options.tasks[0])
    levels = {level: values["mean"] for level, values in found["levels"].items()}
    percents = {name: found[name]["value"] for name in ("iqm", "mean") if name in found}
    return [row | percents | {"ms": round(speed.mean, 3), "returns": levels}]


def report(study: Study[Job], options: Options) -> str:
    """Write results.json and summary.md of the jobs so far, and return the table."""
    from flexlam_rl.eval.studies.over_seeds import over_seeds

    assert study.out is not None
    rows = study.rows()
    lines = [
        f"K = {options.budget}. Returns in percent of the expert's, interquartile mean, over training seeds.", "",
        "| latent actions | prior | seeds | return | 95 % over seeds | ms per decision | training seconds |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for bottleneck in options.bottlenecks:
        for prior in options.priors:
            own = [row for row in rows if (row["bottleneck"], row["prior"]) == (bottleneck, prior)]
            if not own:
                continue
            mean, ends = over_seeds([row.get("iqm", np.nan) for row in own], 1)
            ms, seconds = (np.mean([row[name] for row in own]) for name in ("ms", "seconds"))
            kind = "codes" if bottleneck == "fsq" else "numbers"
            lines.append(f"| {kind} | {prior} | {len(own)} | {mean} | {ends} | {ms:.1f} | {seconds:,.0f} |")
    table = "\n".join(lines)
    write_json(study.out / "results.json", rows)
    write_atomically(study.out / "summary.md", f"# Priors in closed loop\n\n{table}\n".encode())
    return table


STUDY = StudyDefinition(Options, plan, "priors over codes and over vectors: return, milliseconds, training seconds")
