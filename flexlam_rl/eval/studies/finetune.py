"""`flexlam study finetune`: compare a trained policy that is improved by reward with its rivals, at equal steps.

Arms: "prior", PPO on the code distribution of the bundle's prior; "latent-space", a fresh network that chooses codes;
"native", a fresh network that chooses actions; "pixel", the same starting from a pixel expert. The first two run at
every budget. Curves show the evaluations during training. The table holds the returns, on other episodes, of the policy
that was best in these evaluations.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.agents.finetune.plan import FinetunePlan, What
from flexlam_rl.eval.studies.study import Rows, Study, StudyDefinition, StudyOptions
from flexlam_rl.utils.options import free, tidy, whole

CODED: tuple[What, ...] = ("prior", "latent-space")
MORE = free()
"""Marks options that a later command on the same folder may change: it adds trainings, or takes part in them."""
PLAYERS = {"prior": "bundle", "latent-space": "latent", "native": "pixel", "pixel": "pixel"}


@dataclass(frozen=True, kw_only=True)
class Options(StudyOptions):
    """Improve a bundle by reward, and train its rivals."""

    out: Path
    """Folder of the study; the same command continues it, and several commands share the work."""
    levels: tuple[str, ...] = field(default=("rooms_watermaze", "explore_goal_locations_small"), metadata=MORE)
    """Names of levels; each has trainings of its own."""
    bundle: str | None = None
    """Bundle that is improved; None for the one that comes with the package."""
    budgets: tuple[int, ...] = field(default=(1, 4), metadata=MORE)
    """Values of K for the arms that choose codes."""
    arms: tuple[What, ...] = field(default=("prior", "latent-space", "native", "pixel"), metadata=MORE)
    """Arms to compare."""
    seeds: int = field(default=3, metadata=MORE)
    """Number of trainings per arm, level and budget."""
    steps: int = 1_000_000
    """Number of agent steps of each training."""
    envs: int = 32
    """Number of environments that play at once."""
    rollout: int = 64
    """Steps of each environment between two updates."""
    anchor: float = 0.0
    """Weight of the divergence from the start in the arms "prior" and "pixel"."""
    evaluations: int = 10
    """Number of points of each curve."""
    evaluation_episodes: int = 10
    """Number of episodes per point."""
    episodes: int = 20
    """Number of episodes of the final measurement."""
    device: str = field(default="cpu", metadata=MORE)

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: An option is out of range.
        """
        tidy(self)
        for name in ("seeds", "steps", "envs", "rollout", "evaluations", "evaluation_episodes", "episodes"):
            whole(self, name, 1)
        for name in ("levels", "budgets", "arms"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise ValueError(f"{name} is {values}; expected at least one, and none twice.")


@dataclass(frozen=True)
class Job:
    """One training."""

    arm: What
    budget: int | None
    level: str
    seed: int

    @property
    def kind(self) -> str:
        """Arm and budget; such trainings take about the same time per step."""
        return self.arm if self.budget is None else f"{self.arm}@{self.budget}"

    @property
    def name(self) -> str:
        """Name of level, arm, budget and seed."""
        return f"{self.level}-{self.kind}-{self.seed}"


def plan(options: Options) -> Study[Job]:
    """Make the study.

    Raises:
        ValueError: A level or a budget does not fit.
        CheckpointError: The bundle cannot be read.
    """
    from flexlam_rl.agents.policy.bundle import load_bundle
    from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
    from flexlam_rl.envs.domain import find_domain

    for level in options.levels:
        find_domain("dmlab").task(level)
    kinds: list[tuple[What, int | None]] = []
    for arm in options.arms:
        kinds += [(arm, budget) for budget in options.budgets] if arm in CODED else [(arm, None)]
    if set(options.arms) & set(CODED):
        bundle = load_bundle(options.bundle)
        for budget in options.budgets:
            LatentActionPolicy(bundle, budget)
    study = Study(
        title="finetune",
        jobs=[Job(*kind, level, seed) for seed in range(options.seeds) for level in options.levels for kind in kinds],
        train=lambda job: train_arm(job, options),
        measure=lambda job: measure_arm(job, options),
        report=lambda: report(study, options),
        out=options.out,
        config=options,
        steps=lambda job: options.steps,
        needed=lambda job: False,
    )
    return study


def folder(job: Job, options: Options) -> Path:
    """Return the folder of a training."""
    return options.out / "runs" / job.name


def train_arm(job: Job, options: Options) -> None:
    """Train, or continue."""
    from flexlam_rl.agents.experts.pixel.running import drive
    from flexlam_rl.agents.finetune.plan import make_run
    from flexlam_rl.nn.modes import neutral_modes

    every = max(1, options.steps // options.evaluations)
    wanted = FinetunePlan(
        tasks=(job.level,), what=job.arm, budget=job.budget or 1, steps=options.steps, envs=options.envs,
        rollout=options.rollout, anchor=options.anchor if job.arm in ("prior", "pixel") else 0.0, seed=job.seed,
        evaluate_every=every, evaluation_episodes=options.evaluation_episodes, save_every=max(1, every // 2),
        device=options.device,
    )  # fmt: skip
    with neutral_modes():
        run = make_run(wanted, options.bundle, folder(job, options))
        drive(run, lambda text: print(text, flush=True))


def measure_arm(job: Job, options: Options) -> Rows:
    """Read the curve, and measure the returns of the best policy on held-out episodes."""
    from flexlam_rl.agents.collection.schedule import Settings
    from flexlam_rl.agents.experts.pixel.world import DomainWorld
    from flexlam_rl.agents.experts.scores import measure

    out = folder(job, options)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    points = [[line["step"], line[f"return/{job.level}"]] for line in lines if line["part"] == "eval"]
    mark = f"@{job.budget}" if job.arm == "prior" else ""
    settings = Settings(expert=f"{PLAYERS[job.arm]}:{out / 'best'}{mark}", seed=job.seed, spec=DomainWorld().spec)
    found = measure(job.level, settings, options.episodes, options.episodes)
    about = {"arm": job.arm, "budget": job.budget, "kind": job.kind, "level": job.level, "seed": job.seed}
    return [{**about, "curve": points, "mean": found.mean, "returns": list(found.returns)}]


def report(study: Study[Job], options: Options) -> str:
    """Write results.json, summary.md and, if matplotlib is installed, curves.png, and return the table."""
    from flexlam_rl.eval.studies.over_seeds import over_seeds

    assert study.out is not None
    rows = study.rows()
    lines = ["| level | arm | seeds | mean return | 95 % over seeds | each seed |", "|---|---|--:|--:|---|---|"]
    for level, kind in dict.fromkeys((row["level"], row["kind"]) for row in rows):
        means = [row["mean"] for row in rows if (row["level"], row["kind"]) == (level, kind)]
        mean, ends = over_seeds(means, 2)
        each = ", ".join(f"{value:.2f}" for value in means)
        lines.append(f"| {level} | {kind} | {len(means)} | {mean} | {ends} | {each} |")
    table = "\n".join(lines)
    head = f"# Improved by reward: {options.steps:,} steps"
    study.write(rows, f"{head}\n\n{table}")
    draw(rows, study.out / "curves.png")
    return table


def draw(rows: Rows, path: Path) -> None:
    """Draw each seed thin and the mean over seeds thick, one panel per level; draw nothing without matplotlib."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    levels, kinds = (list(dict.fromkeys(row[name] for row in rows)) for name in ("level", "kind"))
    figure, panels = plt.subplots(1, len(levels), figsize=(5.5 * len(levels), 4), squeeze=False)
    for panel, level in zip(panels[0], levels, strict=True):
        for number, kind in enumerate(kinds):
            curves: list[Any] = [row["curve"] for row in rows if (row["level"], row["kind"]) == (level, kind)]
            for points in curves:
                panel.plot(*zip(*points, strict=True), color=f"C{number}", alpha=0.3, linewidth=1)
            if curves:
                shortest = min(map(len, curves))
                mean = np.mean([[value for _, value in points[:shortest]] for points in curves], axis=0)
                steps = [step for step, _ in curves[0][:shortest]]
                panel.plot(steps, mean, color=f"C{number}", linewidth=2, label=f"{kind} ({len(curves)})")
        panel.set(xlabel="agent steps", ylabel="mean return", title=level)
        panel.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


STUDY = StudyDefinition(Options, plan, "a policy improved by reward, on its codes, in latent space and on actions")
