"""`flexlam study teco --data DIR --out DIR`: train the models whose predictions `flexlam study consistency` compares.

It trains one VQ-GAN, and for each seed TECO with training windows of several lengths, with several numbers of tokens
per frame, and with prefixes of several lengths of a LAM's latent actions, as well as models without latent dynamics.
All trainings have the same arithmetic: with shorter windows, a step has more clips; costlier models take fewer steps
(`COSTS`). A killed study continues with the same command; more seeds extend a finished one. Several commands may work
on one folder at once. See docs/world-models.md.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from flexlam_rl.eval.studies.study import Rows, Study, StudyDefinition, StudyOptions
from flexlam_rl.eval.studies.teco.orderings import orderings, verdicts
from flexlam_rl.utils.files import read_json, write_atomically
from flexlam_rl.utils.options import tidy, whole

COSTS = {
    "paper": {"side2": 1.15, "side4": 1.73, "maskgit": 1.05, "ar": 1.15},
    "tiny": {"side2": 1.35, "side4": 2.73, "maskgit": 1.38, "ar": 1.60},
    "debug": dict.fromkeys(("side2", "side4", "maskgit", "ar"), 1.0),
}
"""Operations per step of models with more tokens per frame or without latent dynamics, divided by those of TECO, by
preset, at DropLoss 0.9 (`benchmarks/teco_steps.py --count`; those of `debug` were not counted).
"""
SIDES = (1, 2, 4)
FIGURES = ("loss", "reconstruction", "prior", "silent")


@dataclass(frozen=True, kw_only=True)
class Options(StudyOptions):
    """Train TECO and the models that it is compared with, all with the same arithmetic."""

    data: Path
    """Folder of the rollouts (a training and a test split), as `flexlam collect --protocol dmlab-40k` writes them."""
    out: Path
    """Folder of the study; the same command continues a stopped one in it."""
    preset: Literal["paper", "tiny", "debug"] = "tiny"
    """Preset of sizes, lengths and rates."""
    seeds: int = 3
    """Number of trainings of each kind."""
    windows: tuple[int, ...] | None = None
    """Numbers of frames of the training clips; None for the preset's number, a half and a quarter of it."""
    sides: tuple[int, ...] = SIDES
    """Numbers of tokens along a side of a frame: 1, 2 and 4, or some of them."""
    budgets: tuple[int, ...] = (1, 4, 16)
    """Numbers of slots of the latent actions that models are told, besides models that are told nothing or the actions;
    only with --lam-run.
    """
    lam_run: Path | None = None
    """Run or bundle of the LAM that gives the latent actions; None leaves these models out."""
    steps: int | None = None
    """Number of steps of TECO, instead of the preset's."""
    batch: int | None = None
    """Number of whole windows per step, instead of the preset's number of clips."""
    vqgan_steps: int | None = None
    """Number of steps of the VQ-GAN, instead of the preset's."""
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: An option is out of range.
        """
        tidy(self)
        for name in ("seeds", "steps", "batch", "vqgan_steps"):
            whole(self, name, 1)
        for name in ("windows", "sides", "budgets"):
            given = getattr(self, name)
            if given is not None and (not given or len(set(given)) != len(given) or min(given) < 1):
                raise ValueError(f"{name} is {given}; expected at least one number of 1 or more, and none twice.")
        if not set(self.sides) <= set(SIDES):
            raise ValueError(f"sides is {self.sides}; expected some of {SIDES}, whose arithmetic has been counted.")


@dataclass(frozen=True)
class Config:
    """Options that all commands on one folder must share."""

    preset: str
    windows: tuple[int, ...]
    sides: tuple[int, ...]
    budgets: tuple[int, ...]
    lam: str | None
    """Digest of the LAM."""
    steps: int | None
    batch: int | None
    vqgan_steps: int | None
    data: tuple[str, ...]
    """Digests of the rollouts."""


@dataclass(frozen=True)
class Job:
    """One training."""

    arm: str
    """Name of the model; "vqgan" for the first stage."""
    seed: int
    length: int
    """Steps."""
    stage: Literal["vqgan", "teco", "direct"] = "teco"
    batch: int | None = None
    """Clips per step; None for the preset's number."""
    frames: int | None = None
    side: int | None = None
    budget: int = 0
    """Number of codes that the model is told, K; 0 for no latent actions."""
    condition: Literal["none", "actions", "latents"] = "actions"
    prior: Literal["maskgit", "ar"] | None = None

    @property
    def name(self) -> str:
        """Name of model and seed."""
        return f"{self.arm}-seed{self.seed}"

    @property
    def kind(self) -> str:
        """Kind of training; jobs of one kind take about the same time per step."""
        return f"{self.prior or self.stage} {self.frames or ''} {self.side or ''}".strip()


def jobs_of(options: Options, windows: Sequence[int], steps: int, batch: int, vqgan_steps: int) -> list[Job]:
    """Return the job of the VQ-GAN, then those of all models, seed by seed, so that a stopped study has whole
    comparisons.
    """

    def equal(arm: str) -> int:
        return max(1, round(steps / COSTS[options.preset][arm]))

    found = [Job("vqgan", 0, vqgan_steps, "vqgan")]
    for seed in range(options.seeds):
        # every step sees as many frames as one of whole windows
        found += [
            Job(f"window{frames}", seed, steps, batch=round(batch * windows[0] / frames), frames=frames)
            for frames in windows
        ]
        found += [Job(f"side{side}", seed, equal(f"side{side}"), side=side) for side in options.sides if side != 1]
        found += [Job("k0", seed, steps, condition="none")]
        if options.lam_run is not None:
            found += [Job(f"k{k}", seed, steps, budget=k, condition="latents") for k in options.budgets]
        priors: tuple[Literal["maskgit", "ar"], ...] = ("maskgit", "ar")
        found += [Job(prior, seed, equal(prior), "direct", prior=prior) for prior in priors]
    return [found[0], *(job if job.batch else replace(job, batch=batch) for job in found[1:])]


def plan(options: Options) -> Study[Job]:
    """Make the study.

    Raises:
        ValueError: Options and rollouts do not fit.
        TrainingError: The run that is named holds no LAM.
    """
    from flexlam_rl.datasets import open_rollouts
    from flexlam_rl.models.teco.config import PRESETS
    from flexlam_rl.models.teco.recipes import RECIPES
    from flexlam_rl.nn.pretrained import model_digest, model_folder
    from flexlam_rl.train.errors import TrainingError

    frames, recipe = PRESETS[options.preset].teco.frames, RECIPES[options.preset]
    windows = options.windows or tuple(dict.fromkeys(max(2, frames // part) for part in (1, 2, 4)))
    if max(windows) != windows[0] or min(windows) < 2:
        raise ValueError(f"windows is {windows}; expected numbers of 2 or more, the largest first.")
    digests = tuple(d for split in ("train", "test") for d in open_rollouts(options.data, split=split).digests)
    lam = None
    if options.lam_run is not None:
        folder = model_folder(options.lam_run, "lam")
        if folder is None:
            raise TrainingError(f"lam_run is {options.lam_run}, where no LAM is; expected its run, or a bundle.")
        lam = model_digest(folder)
    config = Config(
        options.preset, windows, options.sides, options.budgets, lam, options.steps, options.batch,
        options.vqgan_steps, digests,
    )  # fmt: skip
    lengths = options.steps or recipe.dynamics.steps, options.batch or recipe.dynamics.batch
    jobs = jobs_of(options, windows, *lengths, options.vqgan_steps or recipe.vqgan.steps)
    study = Study(
        title="teco",
        jobs=jobs,
        train=lambda job: _train(options, job),
        measure=lambda job: _measure(options, job),
        report=lambda: _report(study, options),
        out=options.out,
        config=config,
        steps=lambda job: job.length,
        needed=lambda job: job.stage == "vqgan",
    )
    return study


def _run(options: Options, job: Job) -> Path:
    return options.out / "runs" / ("vqgan" if job.stage == "vqgan" else job.name)


def _train(options: Options, job: Job) -> None:
    from flexlam_rl.models.teco.stages.definitions import DirectOptions, TECOOptions, VQGANOptions
    from flexlam_rl.train.run_stage import train_stage

    shared: dict[str, Any] = {
        "data": options.data, "out": _run(options, job), "preset": options.preset, "seed": job.seed,
        "device": options.device, "steps": job.length,
    }  # fmt: skip
    if job.stage == "vqgan":
        train_stage("vqgan", VQGANOptions(**shared))
        return
    shared |= {"vqgan_run": options.out / "runs" / "vqgan", "condition": job.condition}
    # all jobs train on the same codes, which are encoded once
    shared |= {"frames": job.frames, "side": job.side, "batch": job.batch, "keep_codes": True}
    if job.budget:
        shared |= {"lam_run": options.lam_run, "budget": job.budget}
    if job.prior is not None:
        train_stage("direct", DirectOptions(**shared, prior=job.prior))
    else:
        train_stage("teco", TECOOptions(**shared))


def _measure(options: Options, job: Job) -> Rows:
    found = read_json(_run(options, job) / job.stage / "best" / "metrics.json")
    return [{"model": job.arm, "seed": job.seed, "steps": job.length, **found}]


def _report(study: Study[Job], options: Options) -> str:
    """Write and return the table of held-out losses, the command that compares predictions, and what these show once
    they are there.
    """
    from flexlam_rl.nn.pretrained import model_folder

    done = [job for job in study.jobs if study.is_finished(job)]
    lines = ["| model | seed | steps | " + " | ".join(FIGURES) + " |", "|---" * (3 + len(FIGURES)) + "|"]
    for job in done:
        [row] = read_json(study.result(job))
        values = (f"{row[name]:.4f}" if name in row else "" for name in FIGURES)
        lines.append(f"| {job.arm} | {job.seed} | {job.length} | {' | '.join(values)} |")
    models = [
        f"{job.arm}={_run(options, job) / job.stage / 'best' / job.stage}" for job in done if job.stage != "vqgan"
    ]
    lines += ["", "Held-out losses, nats per code; models with other priors predict other codes. Predictions:", ""]
    command = ["flexlam", "study", "consistency", "--no-flexlam", "--data", str(options.data)]
    command += ["--out", str(options.out / "consistency")]
    if options.lam_run is not None:
        command += ["--bundle", str(model_folder(options.lam_run, "lam"))]
    lines.append("    " + " ".join(map(shlex.quote, [*command, "--models", *models])))
    windows = [job.frames for job in study.jobs if job.frames is not None]
    budgets = sorted({job.budget for job in study.jobs if job.budget})
    lines += verdicts(orderings(list(dict.fromkeys(windows)), options.sides, budgets), options.out)
    page = "\n".join(lines) + "\n"
    assert study.out is not None
    write_atomically(study.out / "README.md", page.encode())
    return page


STUDY = StudyDefinition(Options, plan, "TECO and what it is compared with, trained with the same arithmetic")
