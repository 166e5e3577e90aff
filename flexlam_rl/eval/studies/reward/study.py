"""`flexlam study reward`: audit video rewards on levels of litelab before any agent is trained on them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from flexlam_rl.eval.studies.study import Rows, Study, StudyDefinition, StudyOptions
from flexlam_rl.utils.options import free, tidy, whole

Modes = Literal["conditional", "joint"]


@dataclass(frozen=True, kw_only=True)
class Options(StudyOptions):
    """Audit video rewards: before an agent is trained on one, the expert's video should be likelier than perturbed,
    random and repetitive video.
    """

    out: Path
    """Folder of the study; the same command continues it."""
    bundle: str | None = None
    """Bundle whose LAM and prior score video; None for the one that comes with the package."""
    flexlam: bool = True
    """Also score with FlexLAM's prior."""
    models: tuple[Path, ...] = ()
    """Folders of trained models with codes per frame, such as RUN/videogpt/best/videogpt."""
    levels: tuple[str, ...] = ("explore_goal_locations_small", "explore_object_locations_small")
    """Levels to play."""
    episodes: int = 10
    """Number of episodes per kind and level."""
    steps: int = 100
    """Number of steps of each episode that are scored."""
    expert: str = "reactive"
    """Expert that plays the expert's video."""
    perturb: float = 0.5
    """Share of random steps of the perturbed expert."""
    budgets: tuple[int, ...] = (1, 4, 16)
    """Numbers of codes of each transition that FlexLAM's prior scores."""
    windows: tuple[int, ...] = (2, 4, 8)
    """Numbers of frames that a score looks at; those that a model cannot take are left out, and a recurrent prior looks
    at the whole episode."""
    mode: Modes = "conditional"
    """Likelihood of the newest frame (conditional), or of the whole window (joint)."""
    seed: int = 0
    """Seed of the episodes."""
    task: bool = False
    """Tell the models which task they score."""
    device: str = field(default="cpu", metadata=free())

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: An option is out of range, or there is nothing to score with.
        """
        tidy(self)
        object.__setattr__(self, "models", tuple(Path(path).resolve() for path in self.models))
        for name in ("episodes", "steps"):
            whole(self, name, 2)
        whole(self, "seed", 0)
        for name in ("budgets", "windows"):
            if not getattr(self, name) or min(getattr(self, name)) < (1 if name == "budgets" else 2):
                raise ValueError(f"{name} is {getattr(self, name)}; expected whole numbers of 1 (windows: 2) or more.")
        if not self.flexlam and not self.models:
            raise ValueError("flexlam is False and models is empty; there is nothing to score with.")


@dataclass(frozen=True)
class Job:
    """One level."""

    level: str
    kind: str = "level"

    @property
    def name(self) -> str:
        """The level."""
        return self.level


Make = Callable[[int, str], Any]
"""Function that makes a density for a number of rows and a level."""


def settings(options: Options, bundle: Any, models: dict[str, Any]) -> dict[str, Make]:
    """Return the densities to audit, by name.

    Raises:
        ValueError: No window fits a model.
    """
    from flexlam_rl.agents.rewards.flexlam_density import FlexLAMDensity
    from flexlam_rl.agents.rewards.window_density import WindowDensity
    from flexlam_rl.models.flexlam.priors import sees_all

    found: dict[str, Make] = {}
    if bundle is not None:
        longest = bundle.prior().config.frames
        windows: list[int | None] = [w for w in options.windows if w <= longest] or [longest]
        if sees_all(bundle.prior()):
            windows = [None]
        for window in windows:
            for budget in [k for k in options.budgets if k <= bundle.slots]:
                found[f"flexlam K={budget} window={window or 'episode'}"] = (
                    lambda rows, level, budget=budget, window=window: FlexLAMDensity(  # type: ignore[misc]
                        bundle.lam, bundle.prior(), rows, budget, window, options.mode
                    )
                )
    for name, model in models.items():
        fitting = [w for w in options.windows if w <= model.frames]
        if not fitting:
            raise ValueError(f"windows is {options.windows}; {name} takes at most {model.frames} frames.")
        for window in fitting:
            found[f"{name} window={window}"] = lambda rows, level, model=model, window=window: WindowDensity(  # type: ignore[misc]
                model, rows, window, 1, options.mode, level if options.task else None
            )
    return found


def plan(options: Options) -> Study[Job]:
    """Make the study.

    Raises:
        ValueError: A model gives no likelihood of single frames, or windows or levels do not fit.
        CheckpointError: A bundle or model cannot be read.
    """
    from flexlam_rl.agents.policy.bundle import load_bundle
    from flexlam_rl.envs.domain import find_domain
    from flexlam_rl.envs.spec import EnvSpec
    from flexlam_rl.models.systems import load_model

    bundle = load_bundle(options.bundle, device=options.device) if options.flexlam else None
    models: dict[str, Any] = {}
    for path in options.models:
        model: Any = load_model(path, options.device)
        models[f"{type(model).__name__.lower()}-{len(models)}"] = model.requires_grad_(False).eval()
    facts = None if bundle is None else bundle.config.environment
    spec = EnvSpec(engine="litelab") if facts is None else facts.spec.with_look(textures=facts.textures[-1])
    domain = find_domain("dmlab")
    for level in options.levels:
        domain.task(level)
    made = settings(options, bundle, models)
    for make in made.values():
        make(1, options.levels[0])  # refuses what does not fit, before anything is played
    study = Study(title="reward", jobs=[Job(level) for level in options.levels], measure=lambda job: None,
                  report=lambda: report(study), out=options.out, config=options)  # fmt: skip
    study.measure = lambda job: measure(job, options, domain.resolve(spec), made)
    return study


def measure(job: Job, options: Options, spec: Any, made: dict[str, Make]) -> Rows:
    """Play the level's video and score it with every density; return one row each, and write heat maps."""
    from flexlam_rl.eval.studies.reward.figures import audit, heat_map, score_video
    from flexlam_rl.eval.studies.reward.video import record
    from flexlam_rl.utils.pictures import above, caption, enlarged, write_png

    video = record(job.level, spec, options.episodes, options.steps, options.expert, options.perturb, options.seed)
    rows: Rows = []
    for name, make in made.items():
        scored = score_video(make(len(video.kinds), job.level), video)
        codes = {kind: np.round(values, 4).tolist() for kind, values in scored.codes.items()}
        rows.append({"level": job.level, "density": name, **audit(scored, video), "codes": codes})
        maps = [
            caption(enlarged(np.repeat(heat_map(values)[..., None], 3, axis=-1), 16), kind)
            for kind, values in scored.codes.items()
        ]
        folder = options.out / "maps"
        folder.mkdir(parents=True, exist_ok=True)
        write_png(folder / f"{job.level}-{name.replace(' ', '-').replace('=', '')}.png", above(maps))
    return rows


EXPLAINED = (
    "AUROC of the mean score of episodes, averaged over levels: 0.5 is chance. Rank: Spearman's correlation of score "
    "and return over all episodes of a level. Above repeated: the expert's score minus that of the likeliest repeated "
    "action, mean over levels, and the number of levels where it is above 0. Steps are those of all episodes at once."
)


def report(study: Study[Job]) -> str:
    """Write results.json and summary.md over all levels so far, and return the table."""

    rows = study.rows()
    lines = [
        "| density | levels | expert over random | expert over perturbed | above repeated | rank with return "
        "| ms per step |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["density"] for row in rows):
        own = [row for row in rows if row["density"] == name]
        mean = {
            key: float(np.mean([row[key] for row in own]))
            for key in ("auroc_random", "auroc_perturbed", "above_repeated", "rank", "seconds")
        }
        shares = " | ".join(f"{mean[key]:.2f}" for key in ("auroc_random", "auroc_perturbed"))
        above = f"{mean['above_repeated']:+.2f} ({sum(row['above_repeated'] > 0 for row in own)} of {len(own)})"
        lines.append(
            f"| {name} | {len(own)} | {shares} | {above} | {mean['rank']:.2f} | {1000 * mean['seconds']:.1f} |"
        )
    table = "\n".join(lines)
    page = f"# Audit of video rewards\n\n{EXPLAINED}\n\n{table}"
    study.write(rows, page)
    return table


STUDY = StudyDefinition(
    Options, plan, "does a video reward tell the expert's video from perturbed, random and repetitive video"
)
