"""`flexlam study viper`: compare agents trained only on rewards from video, with each other and with the random policy.

Recurrent PPO (that of the pixel experts, without a teacher) sees no task reward. Arms: "viper", the likelihood of the
first K codes under FlexLAM's prior plus beta times random network distillation; "beta0", only the likelihood; "bonus",
only the bonus; "adversarial", a discriminator on pairs of frames; "random", the random policy. It measures the task
returns of the last policy and not of the best one, because choosing the best would use the task's reward.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from flexlam_rl.agents.experts.pixel.ppo import PPORecipe
from flexlam_rl.eval.studies.study import ArmJob, Rows, Study, StudyDefinition, StudyOptions
from flexlam_rl.utils.options import free, tidy, whole

Arm = Literal["viper", "beta0", "bonus", "adversarial", "random"]


@dataclass(frozen=True, kw_only=True)
class Options(StudyOptions):
    """Train agents on rewards from video, without the task's own reward, and compare their task returns."""

    out: Path
    """Folder of the study; the same command continues it."""
    level: str = "explore_goal_locations_small"
    """Level to play."""
    bundle: str | None = None
    """Bundle whose LAM and prior give the reward; None for the one that comes with the package."""
    budget: int = 1
    """Number of codes of each transition that the prior scores, K."""
    arms: tuple[Arm, ...] = ("viper", "beta0", "random")
    """Arms to compare."""
    data: Path | None = None
    """Rollouts with the expert's video of the level, for the arm "adversarial"."""
    seeds: int = 3
    """Number of trainings per arm."""
    steps: int = 300_000
    """Number of agent steps of each training."""
    envs: int = 32
    """Number of environments that play at once."""
    beta: float = 1.0
    """Weight of the bonus in the arm "viper"."""
    entropy: float = PPORecipe.entropy
    """Weight of PPO's entropy bonus, in all arms."""
    discount: float = PPORecipe.discount
    """Discount factor of the rewards per step, in all arms. A likelihood rewards each step by itself; a small factor
    keeps the agent from ways into views where everything is likely.
    """
    learning_rate: float = PPORecipe.learning_rate
    """Learning rate, in all arms."""
    epochs: int = PPORecipe.epochs
    """PPO's passes over each rollout, in all arms."""
    episodes: int = 20
    """Number of episodes of a measurement."""
    device: str = field(default="cpu", metadata=free())

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: An option is out of range, or the arm "adversarial" has no data.
        """
        tidy(self)
        for name in ("budget", "seeds", "steps", "envs", "epochs", "episodes"):
            whole(self, name, 1)
        if not self.beta > 0:
            raise ValueError(f"beta is {self.beta}; expected a number above 0 (the arm 'beta0' has 0).")
        if not self.arms or len(set(self.arms)) != len(self.arms):
            raise ValueError(f"arms is {self.arms}; expected at least one, and none twice.")
        if ("adversarial" in self.arms) != (self.data is not None):
            raise ValueError(f"arms is {self.arms} and data {self.data}; 'adversarial' needs data, others none.")


def plan(options: Options) -> Study[ArmJob]:
    """Make the study.

    Raises:
        ValueError: The level, the budget or the data do not fit.
        CheckpointError: The bundle cannot be read.
    """
    from flexlam_rl.agents.policy.bundle import load_bundle
    from flexlam_rl.envs.domain import find_domain

    find_domain("dmlab").task(options.level)
    bundle = load_bundle(options.bundle, device=options.device)
    if options.budget > bundle.slots:
        raise ValueError(f"budget is {options.budget}; the bundle has {bundle.slots} slots.")
    if options.data is not None:
        expert_pairs(options)
    study = Study(
        title="viper",
        jobs=[ArmJob(arm, seed) for seed in range(options.seeds) for arm in options.arms],
        train=lambda job: train_arm(job, options, bundle),
        measure=lambda job: measure_arm(job, options),
        report=lambda: report(study, options),
        out=options.out,
        config=options,
        steps=lambda job: 1 if job.arm == "random" else options.steps,
    )
    return study


def expert_pairs(options: Options) -> Any:
    """Make the function that draws the expert's pairs, uint8 (B, 2, C, H, W)."""
    import torch

    from flexlam_rl.datasets import TransitionPairs, open_rollouts

    pairs = TransitionPairs(open_rollouts(options.data, (options.level,), "train"))

    def draw(count: int, generator: torch.Generator) -> torch.Tensor:
        rows = torch.randint(len(pairs), (count,), generator=generator).numpy()
        return torch.from_numpy(pairs.read(rows)["frames"]).movedim(-1, -3).contiguous()

    return draw


def train_arm(job: ArmJob, options: Options, bundle: Any) -> None:
    """Train an arm's agent, or continue it."""
    if job.arm == "random":
        return
    from flexlam_rl.agents.experts.pixel.recipe import Recipe
    from flexlam_rl.agents.experts.pixel.training import train
    from flexlam_rl.agents.experts.pixel.world import DomainWorld
    from flexlam_rl.agents.rewards.adversarial import AdversarialImitation
    from flexlam_rl.agents.rewards.bonuses import RandomNetworkDistillation
    from flexlam_rl.agents.rewards.flexlam_density import FlexLAMDensity
    from flexlam_rl.agents.rewards.world import RewardedWorld

    recipe = Recipe(
        tasks=(options.level,), steps=options.steps, envs=options.envs, teacher="none", seed=job.seed,
        entropy=options.entropy, discount=options.discount, learning_rate=options.learning_rate, epochs=options.epochs,
        evaluate_every=max(1, options.steps), evaluation_episodes=1, device=options.device,
    )  # fmt: skip

    def density(rows: int) -> Any:
        if job.arm == "adversarial":
            return AdversarialImitation(expert_pairs(options), rows, seed=job.seed)
        if job.arm == "bonus":
            return _Nothing(rows)
        return FlexLAMDensity(bundle.lam, bundle.prior(), rows, options.budget)

    bonus = RandomNetworkDistillation(seed=job.seed) if job.arm in ("viper", "bonus") else None
    beta = 0.0 if bonus is None else options.beta
    world = RewardedWorld(DomainWorld(job.seed), density, beta, bonus)
    train(recipe, world, options.out / "runs" / job.name, report=lambda text: print(text, flush=True))


class _Nothing:
    """A density whose scores are all 0."""

    figure = "viper_log_prob"

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def score(self, frames: Any) -> Any:
        from flexlam_rl.agents.rewards.density import Scores

        return Scores(frames.new_zeros(self.rows).float(), frames.new_zeros(self.rows, 1).float())

    def advance(self, frames: Any, begins: Any) -> None:
        """Do nothing."""


def measure_arm(job: ArmJob, options: Options) -> Rows:
    """Measure task returns of the last policy, on held-out episodes."""
    from flexlam_rl.agents.collection.schedule import Settings
    from flexlam_rl.agents.experts.pixel.world import DomainWorld
    from flexlam_rl.agents.experts.scores import measure

    player = "random" if job.arm == "random" else f"pixel:{options.out / 'runs' / job.name / 'last'}"
    settings = Settings(expert=player, seed=job.seed, spec=DomainWorld().spec)
    found = measure(options.level, settings, options.episodes, options.episodes)
    return [{"arm": job.arm, "seed": job.seed, "mean": found.mean, "returns": list(found.returns)}]


def report(study: Study[ArmJob], options: Options) -> str:
    """Write results.json and summary.md of the arms so far, and return the table."""
    from flexlam_rl.eval.studies.over_seeds import over_seeds

    rows = study.rows()
    lines = ["| arm | seeds | mean return | 95 % over seeds | each seed |", "|---|---|---|---|---|"]
    for arm in options.arms:
        means = [row["mean"] for row in rows if row["arm"] == arm]
        if means:
            mean, ends = over_seeds(means, 2)
            each = ", ".join(f"{value:.2f}" for value in means)
            lines.append(f"| {arm} | {len(means)} | {mean} | {ends} | {each} |")
    table = "\n".join(lines)
    head = f"# Rewards from video: {options.level}, {options.steps:,} steps, K = {options.budget}"
    study.write(rows, f"{head}\n\n{table}")
    return table


STUDY = StudyDefinition(Options, plan, "agents trained on rewards from video alone, against chance")
