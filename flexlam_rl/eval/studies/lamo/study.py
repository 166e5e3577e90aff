"""The study of LaMo: for each seed, it trains a Midway, a pixel decoder, and on them the flow, the mixture, and the
baseline that predicts states. Each of these is rolled out on the same held-out clips; there, the last frame that is
shown is also repeated.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from flexlam_rl.eval.studies.study import ArmJob, Rows, Study, StudyDefinition, StudyOptions
from flexlam_rl.models.lamo.recipes import PresetName
from flexlam_rl.utils.options import free, tidy, whole

Arm = Literal["repeat", "midway", "decoder", "flow", "mixture", "state"]
ARMS: tuple[Arm, ...] = ("midway", "decoder", "flow", "mixture", "state")


@dataclass(frozen=True, kw_only=True)
class Options(StudyOptions):
    """Compare predictions of motion with predictions of states, at several horizons."""

    data: Path
    """Folder of the rollouts (a training and a test split)."""
    out: Path
    """Folder of the study; the same command continues it."""
    preset: PresetName = "tiny"
    """Preset of sizes, lengths and rates of all trainings."""
    seeds: int = 3
    """Number of trainings of each model, each seed on a Midway of its own."""
    every: int = 1
    """Number of rows of the rollouts from one frame to the next."""
    horizons: tuple[int, ...] = (1, 3, 8)
    """Horizons, in steps ahead, at which predictions are compared."""
    steps: tuple[int, ...] = (5, 20, 50)
    """Numbers of steps of the flow head."""
    clips: int = 256
    """Number of held-out clips, with one sample of each."""
    midway_steps: int | None = None
    """Number of training steps of every Midway, instead of the preset's."""
    decoder_steps: int | None = None
    """Number of training steps of every pixel decoder, instead of the preset's."""
    lamo_steps: int | None = None
    """Number of training steps of every model that predicts, instead of the preset's."""
    extractor: str = "efficientnet-lite0"
    """Network of the Fréchet distances, which are named after it."""
    device: str = field(default="cpu", metadata=free())

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: An option is out of range.
        """
        tidy(self)
        for name in ("seeds", "every", "midway_steps", "decoder_steps", "lamo_steps"):
            whole(self, name, 1)
        whole(self, "clips", 2)
        for name in ("horizons", "steps"):
            values = getattr(self, name)
            if not values or sorted(set(values)) != list(values) or values[0] < 1:
                raise ValueError(f"{name} is {values}; expected rising whole numbers from 1 on.")


def plan(options: Options) -> Study[ArmJob]:
    """Make the study.

    Raises:
        ValueError: There is no such data, its clips are too short, or there is no such extractor.
    """
    from flexlam_rl.eval.studies.lamo.measuring import check
    from flexlam_rl.eval.studies.lamo.report import report

    check(options)
    study = Study(
        title="lamo",
        jobs=[ArmJob("repeat", 0), *(ArmJob(arm, seed) for seed in range(options.seeds) for arm in ARMS)],
        train=lambda job: train(job, options),
        measure=lambda job: measured(job, options),
        report=lambda: report(study, options),
        out=options.out,
        config=options,
        steps=lambda job: loop_steps(job, options),
        guesses=TIMED_ELSEWHERE if (options.preset, options.device) == ("tiny", "cpu") else {},
    )
    return study


TIMED_ELSEWHERE = {"midway": 0.20, "decoder": 0.05, "flow": 0.28, "mixture": 0.28, "state": 0.56}
"""Seconds per step of the preset "tiny", on one thread of a 2-core x86-64 container with other jobs on both cores."""


def loop_steps(job: ArmJob, options: Options) -> int:
    """Return the number of optimizer steps of a job."""
    from flexlam_rl.models.lamo.recipes import RECIPES

    recipe = RECIPES[options.preset]
    if job.arm == "repeat":
        return 1
    if job.arm == "midway":
        return options.midway_steps or recipe.midway.steps
    if job.arm == "decoder":
        return options.decoder_steps or recipe.decoder.steps
    return options.lamo_steps or recipe.lamo.steps


def folder(job: ArmJob, options: Options) -> Path:
    """Return the folder of a run: one per seed for shared models, and one per arm."""
    name = f"seed-{job.seed}" if job.arm in ("midway", "decoder") else job.name
    return options.out / "runs" / name


def train(job: ArmJob, options: Options) -> None:
    """Train a job's model, or continue it."""
    from flexlam_rl.models.lamo.stages.definitions import LaMoOptions, MidwayOptions, PixelDecoderOptions
    from flexlam_rl.train.run_stage import train_stage

    if job.arm == "repeat":
        return
    common: dict[str, Any] = {
        "data": options.data, "out": folder(job, options), "preset": options.preset, "every": options.every,
        "seed": job.seed, "device": options.device, "steps": loop_steps(job, options),
    }  # fmt: skip
    if job.arm == "midway":
        train_stage("midway", MidwayOptions(**common))
    elif job.arm == "decoder":
        train_stage("lamo_decoder", PixelDecoderOptions(**common))
    else:
        shared = folder(ArmJob("decoder", job.seed), options)
        head, predict = ("flow", "state") if job.arm == "state" else (job.arm, "motion")
        train_stage("lamo", LaMoOptions(**common, lamo_decoder_run=shared, head=head, predict=predict))  # type: ignore[arg-type]


def measured(job: ArmJob, options: Options) -> Rows:
    """Measure a trained job: a model's own figures, or the quality of its rollouts at each horizon."""
    from flexlam_rl.eval.studies.lamo.measuring import repeated_rows, rollout_rows
    from flexlam_rl.utils.files import read_json

    if job.arm == "repeat":
        return [{"arm": job.arm, "seed": job.seed, **row} for row in repeated_rows(options)]
    run = folder(job, options)
    if job.arm in ("midway", "decoder"):
        stage = "midway" if job.arm == "midway" else "lamo_decoder"
        figures = read_json(run / stage / "best" / "metrics.json")
        return [{"arm": job.arm, "seed": job.seed, **figures}]
    own = options.steps if job.arm == "flow" else (max(options.steps),) if job.arm == "state" else (None,)
    rows = rollout_rows(run / "lamo/best/lamo", own, options, options.out / "clips" / job.name)
    return [{"arm": job.arm, "seed": job.seed, **row} for row in rows]


STUDY = StudyDefinition(Options, plan, "predicting motion against predicting states, by horizon (LaMo)")
