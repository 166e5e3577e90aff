"""What `flexlam finetune` trains: a prior, or one of its rivals on the same tasks, with the same rewards."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from flexlam_rl.utils.plain import Plain

if TYPE_CHECKING:  # torch is loaded when something trains
    from flexlam_rl.agents.experts.pixel.running import RewardRun

What = Literal["prior", "latent-space", "native", "pixel"]
"""What trains.

"prior": the code distribution of the bundle's prior, with LAM and translator fixed. "latent-space": a fresh recurrent
network whose actions are the first codes of a latent action, which the bundle translates. "native": the same network
with the task's own actions. "pixel": the latter, starting from the weights of a pixel expert.
"""
RATES = {"prior": 1e-4, "latent-space": 5e-4, "native": 5e-4, "pixel": 1e-4}
"""Default learning rates."""
ENTROPIES = {"prior": 0.003, "latent-space": 0.01, "native": 0.01, "pixel": 0.003}
"""Default weights of the entropy bonus; with 0.003, a fresh network that chose codes stopped exploring."""


@dataclass(frozen=True, kw_only=True)
class FinetunePlan(Plain):
    """Options of `flexlam finetune`."""

    tasks: Annotated[tuple[str, ...], tyro.conf.arg(aliases=("--levels", "--level"))] = ("rooms_watermaze",)
    """Names of tasks, `all` or `suite`: one policy is trained on all of them."""
    what: What = "prior"
    """prior: the bundle's prior draws the codes and learns; latent-space: a fresh network chooses codes; native: a
    fresh network chooses actions; pixel: the same, starting from a pixel expert's weights.
    """
    budget: int = 1
    """Number of codes per decision, K, of prior and latent-space."""
    start: str | None = None
    """Folder of the pixel expert that `pixel` starts from; by default the one that comes with the package."""
    domain: str = "dmlab"
    """World of the tasks."""
    steps: int = 1_000_000
    """Total number of agent steps."""
    envs: int = 32
    """Number of environments that play at once; tasks are assigned to them in turn."""
    rollout: int = 64
    """Steps of each environment between two updates."""
    learning_rate: float | None = None
    """Learning rate of Adam; by default 1e-4 for trained models and 5e-4 for fresh networks."""
    entropy: float | None = None
    """Weight of the entropy bonus; by default 0.003 for trained models and 0.01 for fresh networks."""
    anchor: float = 0.0
    """Weight of the divergence from the policy that `prior` and `pixel` start from."""
    epochs: int = 2
    """Passes over each rollout."""
    minibatches: int = 4
    """Updates per pass."""
    value_steps: int = 20_000
    """Agent steps at the beginning in which `prior` learns only the values."""
    evaluate_every: int = 100_000
    """Agent steps between evaluations."""
    evaluation_episodes: int = 10
    """Episodes per task and evaluation."""
    save_every: int = 50_000
    """Agent steps between saves of the state."""
    seed: int = 0
    """Seed of fresh weights, codes and episodes."""
    device: str = "cpu"
    """torch device."""


def make_run(plan: FinetunePlan, bundle: str | None, out: Path) -> "RewardRun":
    """Make a run, which writes nothing until it is driven.

    Args:
        plan: What trains, and how.
        bundle: Folder or hub id of a bundle; None for the one that comes with the package.
        out: Folder of the run; a run that it holds is continued.

    Raises:
        ValueError: Options do not fit each other, the bundle, or the run in the folder.
        CheckpointError: The bundle, the pixel expert or the run's state cannot be read.
    """
    from flexlam_rl.agents.experts.pixel.training import Run
    from flexlam_rl.agents.experts.pixel.world import DomainWorld
    from flexlam_rl.agents.finetune.recipe import PriorRecipe
    from flexlam_rl.agents.finetune.training import PriorRun
    from flexlam_rl.agents.finetune.worlds import BundleWorld, LatentWorld
    from flexlam_rl.agents.policy.bundle import load_bundle

    _check(plan)
    rate = RATES[plan.what] if plan.learning_rate is None else plan.learning_rate
    entropy = ENTROPIES[plan.what] if plan.entropy is None else plan.entropy
    same: dict[str, Any] = {
        name: getattr(plan, name)
        for name in (
            "tasks", "domain", "steps", "envs", "rollout", "anchor", "epochs", "minibatches",
            "evaluate_every", "evaluation_episodes", "save_every", "seed", "device",
        )
    } | {"learning_rate": rate, "entropy": entropy}  # fmt: skip
    if plan.what in ("prior", "latent-space"):
        loaded = load_bundle(bundle, plan.device)
        if plan.what == "prior":
            recipe = PriorRecipe(**same, budget=plan.budget, value_steps=plan.value_steps)
            return PriorRun(recipe, BundleWorld(loaded, plan.budget, plan.seed, plan.domain), loaded, out)
        return Run(_pixel_recipe(same), LatentWorld(loaded, plan.budget, plan.seed, plan.domain), out)
    return Run(_pixel_recipe(same, _start(plan)), DomainWorld(plan.seed, plan.domain), out)


def _check(plan: FinetunePlan) -> None:
    if plan.start is not None and plan.what != "pixel":
        raise ValueError(f"start is {plan.start!r}; only --what pixel starts from a pixel expert.")
    if plan.anchor and plan.what not in ("prior", "pixel"):
        raise ValueError(f"anchor is {plan.anchor}, but --what {plan.what} starts from fresh weights: leave it out.")


def _start(plan: FinetunePlan) -> str | None:
    """Return the folder of the policy to start from: of a pixel expert with specialists, the one for the tasks."""
    from flexlam_rl.agents.experts.pixel.specialists import policy_for
    from flexlam_rl.checkpoints import PIXEL_EXPERT

    if plan.what != "pixel":
        return None
    if plan.start is None and not PIXEL_EXPERT.is_dir():
        raise ValueError("No pixel expert comes with this version: name one with --start.")
    return str(policy_for(plan.start or PIXEL_EXPERT, plan.tasks))


def _pixel_recipe(same: dict[str, Any], start: str | None = None) -> Any:
    """Make the options of a pixel expert's training, with the sizes of the expert that it starts from."""
    from flexlam_rl.agents.experts.pixel.network import PixelNetwork
    from flexlam_rl.agents.experts.pixel.recipe import Recipe

    sizes = {}
    if start is not None:
        config = PixelNetwork.from_pretrained(start).config
        sizes = {"gru": config.gru, "channels": config.channels, "vision": config.vision}
    return Recipe(**same, teacher="none", clone_steps=0, start=start, **sizes)


def speed(run: "RewardRun") -> str:
    """Estimate how long a run will take, from two iterations that are then dropped; nothing is written."""
    from flexlam_rl.agents.finetune.training import PriorRun

    left = max(0, run.options.steps - run.step)
    if isinstance(run, PriorRun):
        run.recipe = replace(run.recipe, value_steps=0)  # steps that learn only values are cheaper
    try:
        run.iterate()
        began = time.perf_counter()
        run.iterate()
        rate = run.options.per_iteration / (time.perf_counter() - began)
    finally:
        run.close()
    hours = left / rate / 3600
    return (
        f"{left:,} steps left, {rate:,.0f} steps/s without evaluations: about {hours:.1f} hours; nothing was written."
    )
