"""`flexlam study imitability DATA... --out DIR`: measure whether a policy that sees pixels can imitate a video.

Clones of a small fixed recipe learn from all actions of a video. They see one frame, see ten frames, or are recurrent,
each with and without the previous action. Each is measured on held-out video and then plays. A high accuracy on the
expert's states with a low return means that the expert knows what the pixels do not show, or that its video does not
show how to recover from a mistake. A killed study continues with the same command; more videos extend a finished one.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import tyro

from flexlam_rl.eval.studies.imitability.report import write
from flexlam_rl.eval.studies.imitability.video import Video
from flexlam_rl.eval.studies.study import Rows, Study, StudyDefinition, StudyOptions
from flexlam_rl.models.baselines.clone import Memory
from flexlam_rl.utils.command_line import run as run_command
from flexlam_rl.utils.options import free, whole

MEMORIES: dict[str, Memory] = {"one": "frame", "ten": "frames", "recurrent": "recurrent"}
RECIPES: dict[str, tuple[Memory, bool]] = {
    f"{name}{'-previous' if previous else ''}": (memory, previous)
    for name, memory in MEMORIES.items()
    for previous in (False, True)
}
"""Recipes by name: the kind of the clone's memory, and whether it sees the previous action."""


@dataclass(frozen=True)
class Size:
    """What a clone's training costs, the same for all recipes.

    Attributes:
        window: Steps of each window.
        batch: Windows of each update.
        rate: Peak learning rate of AdamW.
        fast: Whether hidden matrices are trained by Muon and products are in bfloat16, where torch and the CPU can.
    """

    window: int
    batch: int
    rate: float
    fast: bool


SIZES = {"small": Size(32, 8, 5e-4, fast=False), "large": Size(64, 16, 1e-3, fast=True)}


@dataclass(frozen=True)
class Options(StudyOptions):
    """Clone videos by a small fixed recipe, play the clones, and say whether a policy that sees pixels can imitate
    them.
    """

    data: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of rollouts with actions, one per video."""
    out: Path
    """Folder of the study; the same command continues a stopped one in it."""
    tasks: tuple[str, ...] | None = None
    """Levels of the videos to take; None for all."""
    frames: int = 200_000
    """Largest number of frames of each video to learn from, the same number per level."""
    held_out: int = 8_000
    """Largest number of frames of each video to measure on."""
    steps: int = 2000
    """Number of updates of each clone, on 256 frames each, or 1024 with the large size."""
    size: Literal["small", "large"] = "small"
    """Small: 8 windows of 32 frames per update, AdamW. Large: 16 windows of 64 frames, twice the rate, Muon for hidden
    matrices, and bfloat16 where the CPU multiplies it.
    """
    recipes: str = ",".join(RECIPES)
    """Recipes to train, as in one,recurrent-previous."""
    episodes: int = 5
    """Number of episodes that each clone plays per level; 0 for none."""
    action_temperature: float = 1.0
    """Temperature at which clones draw their actions."""
    seed: int = 0
    """Seed of weights, order and episodes."""
    device: str = field(default="cpu", metadata=free())

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: A number is out of range.
        """
        for name in ("frames", "held_out", "steps"):
            whole(self, name, 1)
        for name in ("episodes", "seed"):
            whole(self, name, 0)
        if not 0.0 < self.action_temperature < float("inf"):
            raise ValueError(f"action_temperature is {self.action_temperature}; expected a number above 0.")


@dataclass(frozen=True)
class Kept:
    """Options that a later command must not change."""

    tasks: tuple[str, ...] | None
    frames: int
    held_out: int
    steps: int
    episodes: int
    seed: int
    size: str = field(default="small", metadata={"later": True})
    action_temperature: float = field(default=1.0, metadata={"later": True})


@dataclass(frozen=True)
class Job:
    """A clone of a video, or a policy that it is compared with: the recipe "expert" or "random"."""

    video: str
    recipe: str

    @property
    def name(self) -> str:
        """Name of the job's folder and result."""
        return f"{self.video}-{self.recipe}"

    @property
    def kind(self) -> str:
        """Kind of the job."""
        return "plays" if self.recipe in ("expert", "random") else f"clone, {self.recipe.partition('-')[0]}"


def folder_names(folders: tuple[Path, ...]) -> dict[str, Path]:
    """Name videos by their folders.

    Raises:
        ValueError: Two names are equal.
    """
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        raise ValueError(f"Two videos are called {max(names, key=names.count)!r}: give folders of different names.")
    return dict(zip(names, folders, strict=True))


def plan(options: Options) -> Study[Job]:
    """Make the study.

    Raises:
        ValueError: Options or videos do not fit.
        StoreError: A folder holds no rollouts.
    """
    recipes = options.recipes.split(",")
    for recipe in recipes:
        if recipe not in RECIPES:
            raise ValueError(f"recipes has {recipe!r}; expected some of {', '.join(RECIPES)}.")
    videos = {
        name: Video(folder, options.tasks, options.frames, options.held_out)
        for name, folder in folder_names(options.data).items()
    }
    for video in videos.values():
        for recipe in recipes:
            video.config(*RECIPES[recipe])  # refuses videos without actions, and frames that are too small
        _ = video.learn
    jobs = []
    for name, video in videos.items():
        if options.episodes and video.playable:
            jobs += [Job(name, "random"), Job(name, "expert")]
        jobs += [Job(name, recipe) for recipe in recipes]
    stage = lru_cache(1)(lambda job: _stage(job, videos[job.video], options))
    return Study(
        title="imitability",
        jobs=jobs,
        train=lambda job: _train(job, stage, options),
        measure=lambda job: _measure(job, videos[job.video], stage, options),
        report=lambda: write(options.out, videos, list(RECIPES)),
        out=options.out,
        config=Kept(**{entry.name: getattr(options, entry.name) for entry in fields(Kept)}),
        steps=lambda job: 1 if job.recipe in ("expert", "random") else options.steps,
        guesses={"clone, one": 0.05, "clone, ten": 0.06, "clone, recurrent": 0.08},  # one core of a Zen 3 EPYC
    )


def _folder(job: Job, options: Options) -> Path:
    return options.out / "runs" / job.name


def _stage(job: Job, video: Video, options: Options) -> Any:
    import torch

    from flexlam_rl.models.baselines.clone import Clone
    from flexlam_rl.models.baselines.clone_stage import FIELDS, CloneStage, WindowSource, windows
    from flexlam_rl.train.source import to_device

    size = SIZES[options.size]
    learn = windows(video.train, size.window, video.learn)
    measure = windows(video.test, size.window, video.measure)
    count = max(1, options.held_out // size.window)
    held_out = next(measure.batches(count, seed=0, workers=0, epochs=1, drop_last=False))
    torch.manual_seed(options.seed)
    model = Clone(video.config(*RECIPES[job.recipe]))
    source = WindowSource(learn, size.batch, options.seed)
    return CloneStage(model, source, to_device({n: held_out[n] for n in ("frames", *FIELDS)}, "cpu"))


def _train(job: Job, stage: Callable[[Job], Any], options: Options) -> None:
    import torch

    from flexlam_rl.train.optim import multiplies_bfloat16
    from flexlam_rl.train.trainer import LoopConfig, run

    if job.recipe in ("expert", "random"):
        return
    size = SIZES[options.size]
    loop = LoopConfig(
        steps=options.steps,
        batch=size.batch,
        lr=size.rate,
        optimiser="muon" if size.fast and hasattr(torch.optim, "Muon") else "adamw",
        matrix_lr=0.02,
        warmup=min(100, options.steps // 10),
        precision="bf16" if size.fast and multiplies_bfloat16() else "fp32",
        device=options.device,
        seed=options.seed,
        eval_every=max(1, options.steps // 4),
        save_every=max(1, options.steps // 4),
    )
    run(stage(job), loop, _folder(job, options))


def _measure(job: Job, video: Video, stage: Callable[[Job], Any], options: Options) -> Rows:
    from flexlam_rl.agents.experts.registry import is_blind, make_expert
    from flexlam_rl.agents.policy.clone import ClonePolicy
    from flexlam_rl.eval.studies.imitability.playing import play

    who = {"video": job.video, "recipe": job.recipe}
    levels, spec, seed = video.train.levels, video.spec, options.seed
    if job.recipe in ("expert", "random"):
        name = video.expert if job.recipe == "expert" else "random"
        rows = play(
            lambda env: make_expert(name, env, video.temperature, seed),
            levels,
            spec,
            options.episodes,
            seed,
            frames=not is_blind(name),
        )
        return [who | {"part": "episode"} | row for row in rows]
    best = _folder(job, options) / "best" / "clone"
    model = type(stage(job).model).from_pretrained(best, device=options.device).eval()
    measured = _with_model(stage(job), model).evaluate(options.device)
    found: Rows = [who | {"part": "held-out"} | measured]
    if options.episodes and video.playable:
        asked = None if video.expert == "random" else video.expert
        rows = play(
            lambda env: ClonePolicy(best, env, seed, temperature=options.action_temperature),
            levels,
            spec,
            options.episodes,
            seed,
            asked,
        )
        found += [who | {"part": "episode"} | row for row in rows]
    return found


def _with_model(stage: Any, model: Any) -> Any:
    from flexlam_rl.models.baselines.clone_stage import CloneStage

    return CloneStage(model, stage.source, stage.held_out)


STUDY = StudyDefinition(Options, plan, "can a policy that sees pixels imitate a video: clones, played, with a verdict")
run = STUDY.run

if __name__ == "__main__":
    sys.exit(run_command(Options, run, None, "flexlam study imitability"))
