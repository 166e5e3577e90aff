"""`flexlam study elastic --data DIR --out DIR`: compare ElasticTok's lengths, chosen per block, with constant ones.

For each seed, it trains one ElasticTok, one autoencoder of constant length for each of `--lengths` (with the same
sizes, data, steps and therefore arithmetic), the regressor of lengths, and an ElasticTok grown to several blocks. Then
it measures on held-out blocks: the share that meets a threshold on the squared error, and the tokens that this takes;
how close each search comes to the full one, and its number of passes; and how lengths depend on the content
(dissertation, section 4.3). A killed study continues with the same command; more seeds extend a finished one. See
docs/elastic.md.
"""

import functools
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from flexlam_rl.eval.studies.study import Rows, Study, StudyDefinition, StudyOptions
from flexlam_rl.utils.options import tidy, whole

Kind = Literal["elastic", "constant", "regressor", "grown"]
SQUARED = "squared-error"
PERCEPTUAL = "perceptual:"


@dataclass(frozen=True, kw_only=True)
class Options(StudyOptions):
    """Measure how many of ElasticTok's tokens blocks of frames need, and compare with constant lengths."""

    data: Path
    """Folder of the rollouts (a training and a test split)."""
    out: Path
    """Folder of the study; the same command continues a stopped one in it."""
    preset: Literal["paper", "tiny", "debug"] = "tiny"
    """Preset of sizes, lengths and rates."""
    bottleneck: Literal["fsq", "vae"] = "fsq"
    """Discrete codes (fsq), or numbers near a normal distribution (vae)."""
    seeds: int = 3
    """Number of trainings of each kind."""
    lengths: tuple[int, ...] | None = None
    """Constant lengths to compare with; None for an eighth, a quarter, a half and all of a block's tokens."""
    thresholds: tuple[float, ...] | None = None
    """Thresholds: largest errors of a block that are good enough; None for the preset's, for the squared error of
    values in [-1, 1].
    """
    objective: str = SQUARED
    """Error that is compared with the thresholds: squared-error, or perceptual:NAME with the name of an extractor, such
    as perceptual:efficientnet-lite0. Only the squared error has a regressor.
    """
    blocks: int = 4
    """Number of blocks of the grown model; 1 for no such model."""
    bins: int | None = None
    """Number of lengths that the binned search tries; None for 100 (the paper's), but at most every second length."""
    held_out: int = 128
    """Largest number of held-out blocks to measure on."""
    steps: int | None = None
    """Number of steps of every autoencoder, instead of the preset's."""
    grown_steps: int | None = None
    """Number of steps of the grown model, instead of the preset's."""
    regressor_steps: int | None = None
    """Number of steps of the regressor, instead of the preset's."""
    every: int = 1
    """Number of rows of the rollouts from one frame of a clip to the next."""
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: An option is out of range.
        """
        tidy(self)
        for name in ("seeds", "blocks", "held_out", "steps", "grown_steps", "regressor_steps", "every"):
            whole(self, name, 1)
        whole(self, "bins", 2)
        for name in ("lengths", "thresholds"):
            given = getattr(self, name)
            if given is not None and (not given or len(set(given)) != len(given) or not all(x > 0 for x in given)):
                raise ValueError(f"{name} is {given}; expected at least one number above 0, and none twice.")
        if self.objective != SQUARED and not self.objective.startswith(PERCEPTUAL):
            raise ValueError(f"objective is {self.objective!r}; expected {SQUARED}, or {PERCEPTUAL}NAME.")
        if self.objective != SQUARED and self.thresholds is None:
            raise ValueError(f"thresholds is None; the objective {self.objective!r} has no default thresholds.")
        if self.held_out < self.blocks:
            raise ValueError(f"held_out is {self.held_out}; expected at least the {self.blocks} blocks of a clip.")


@dataclass(frozen=True)
class Config:
    """Options that all commands on one folder must share."""

    preset: str
    bottleneck: str
    lengths: tuple[int, ...]
    thresholds: tuple[float, ...]
    objective: str
    blocks: int
    bins: int
    held_out: int
    steps: int | None
    grown_steps: int | None
    regressor_steps: int | None
    every: int
    data: tuple[str, ...]
    """Digests of the rollouts."""


@dataclass(frozen=True)
class Job:
    """One training and its measurement."""

    what: Kind
    seed: int
    length: int | None = None
    """Number of tokens per block of a model of constant length."""

    @property
    def kind(self) -> str:
        """Kind of training; jobs of one kind take about the same time per step."""
        return {"regressor": "regressor", "grown": "grown autoencoder"}.get(self.what, "autoencoder")

    @property
    def name(self) -> str:
        """Name of kind, length and seed."""
        return f"{self.what}{self.length or ''}-seed{self.seed}"


USUAL = {"paper": (0.004, 0.012, 0.06), "tiny": (0.02, 0.05, 0.1), "debug": (0.2, 0.3, 0.4)}
"""Default thresholds on the squared error of values in [-1, 1], by preset. `paper` has the paper's, on the assumption
that its values lie in [0, 1]; `tiny` has PSNR of 23, 19 and 16 dB.
"""


def jobs_of(seeds: int, lengths: tuple[int, ...], blocks: int, regressor: bool) -> list[Job]:
    """Return all jobs, seed by seed, so that a stopped study has whole comparisons."""
    found = []
    for seed in range(seeds):
        found += [Job("elastic", seed), *(Job("constant", seed, length) for length in lengths)]
        found += [Job("regressor", seed)] if regressor else []
        found += [Job("grown", seed)] if blocks > 1 else []
    return found


def plan(options: Options) -> Study[Job]:
    """Make the study.

    Raises:
        ValueError: Options do not fit each other or the data.
    """
    from flexlam_rl.datasets import open_rollouts
    from flexlam_rl.eval.studies.elastic import measuring, report
    from flexlam_rl.models.elastictok.config import PRESETS
    from flexlam_rl.models.elastictok.recipes import RECIPES
    from flexlam_rl.nn.patch_embed import frame_size
    from flexlam_rl.train.clips import check_clips
    from flexlam_rl.train.definition import Splits

    model, recipe = PRESETS[options.preset, options.bottleneck], RECIPES[options.preset]
    tokens = model.tokens
    usual = tuple(sorted({max(model.least, tokens // 8), tokens // 4, tokens // 2, tokens}))
    lengths = tuple(sorted(options.lengths or usual))
    if max(lengths) > tokens or min(lengths) < 1:
        raise ValueError(f"lengths is {lengths}; expected some of 1 to {tokens}, the tokens of a block.")
    distance = measuring.distance_of(options.objective)
    splits = Splits(*(open_rollouts(options.data, split=split) for split in ("train", "test")))
    check_clips(splits, (*frame_size(model), model.channels), model.frames * options.blocks, options.every)
    bins = options.bins or min(100, (tokens - model.least) // 2 + 1)
    shared = {name: value for name, value in asdict(options).items() if name in Config.__dataclass_fields__}
    thresholds = tuple(sorted(options.thresholds or USUAL[options.preset]))
    digests = (*splits.train.digests, *splits.test.digests)
    config = Config(**shared | {"lengths": lengths, "thresholds": thresholds, "bins": bins, "data": digests})
    held_out = functools.cache(lambda: measuring.held_out(splits.test, model, options))

    def measure(job: Job) -> Rows:
        return measuring.measure(job, options.out, config, held_out(), distance, options.device)

    def steps(job: Job) -> int:
        if job.what == "regressor":
            return options.regressor_steps or recipe.regressor.steps
        if job.what == "grown":
            return options.grown_steps or recipe.row(options.blocks).steps
        return options.steps or recipe.row(1).steps

    return Study(
        title="elastic",
        jobs=jobs_of(options.seeds, lengths, options.blocks, options.objective == SQUARED),
        train=lambda job: train(job, options, thresholds, steps(job)),
        measure=measure,
        report=lambda: report.write(options.out, config),
        out=options.out,
        config=config,
        steps=steps,
        guesses=GUESSES.get((options.preset, options.device.partition(":")[0]), {}),
    )


# (preset, type of device) -> processor seconds per step, by kind of job, on one thread of a 2-core x86-64 container
GUESSES = {("tiny", "cpu"): {"autoencoder": 0.36, "grown autoencoder": 0.41, "regressor": 0.6}}


def train(job: Job, options: Options, thresholds: tuple[float, ...], steps: int) -> None:
    """Train a job; a finished one returns at once, a stopped one continues."""
    from flexlam_rl.models.elastictok.stages.definitions import ElasticTokOptions, RegressorOptions
    from flexlam_rl.train.run_stage import train_stage

    elastic = options.out / "runs" / Job("elastic", job.seed).name
    common: dict[str, Any] = {
        "data": options.data, "out": options.out / "runs" / job.name, "preset": options.preset, "seed": job.seed,
        "device": options.device, "every": options.every, "steps": steps,
    }  # fmt: skip
    if job.what == "regressor":
        # a range a little wider than the thresholds, so that none lies at the end of what the regressor knows
        ends: dict[str, Any] = {"low": min(thresholds) / 1.5, "high": max(thresholds) * 1.5}
        train_stage("elastictok_regressor", RegressorOptions(**common, **ends, elastictok_run=elastic))
        return
    grown: dict[str, Any] = {"blocks": options.blocks, "init": elastic} if job.what == "grown" else {}
    train_stage("elastictok", ElasticTokOptions(**common, **grown, bottleneck=options.bottleneck, length=job.length))


STUDY = StudyDefinition(Options, plan, "tokens that ElasticTok's blocks need, beside constant lengths")
