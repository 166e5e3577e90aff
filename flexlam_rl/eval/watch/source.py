"""What can be watched: a bundle, the world that it was trained in, and the viewer's choices.

Legend: `M` slots, `K` budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym

from flexlam_rl.agents.environments import make_single
from flexlam_rl.agents.experts.registry import adviser_of, make_expert
from flexlam_rl.agents.policy.bundle import Bundle, load_bundle
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.observations import MAP
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.models.flexlam.adaptive.rules import rule_of
from flexlam_rl.utils.budget_words import AUTO, AutoBudget, any_budgets
from flexlam_rl.utils.numbers import int64


@dataclass(frozen=True)
class Choices:
    """The viewer's choices.

    Attributes:
        task: Name of the task.
        seed: Seed of the episode (from the evaluation stream, which training never uses), of the policy's draws and of
            the decoder's noise.
        budget: Budget K, or the words of a rule that chooses it at each decision.
        temperature: Temperature of the codes; 0 takes the likeliest.
        action_temperature: Temperature of the translator's actions; 0 takes the likeliest.
    """

    task: str
    seed: int
    budget: int | str
    temperature: float
    action_temperature: float


@dataclass(frozen=True)
class Source:
    """A policy and its world, from which any number of games can begin; they share its models.

    Attributes:
        bundle: The bundle with the models.
        spec: Resolved record of the world.
        tasks: Names of its tasks.
        auto: Words of the rule that chooses the budget at each decision; None where the policy cannot choose it.
    """

    bundle: Bundle
    spec: EnvSpec
    tasks: tuple[str, ...]
    auto: str | None

    @property
    def slots(self) -> int:
        """Number of slots M, which is the largest budget."""
        return self.bundle.slots

    @property
    def prefix(self) -> bool:
        """Whether every budget of 1 to M is allowed; a Fixed-K model takes only M."""
        return bool(self.bundle.lam.config.prefix)

    @property
    def mapped(self) -> bool:
        """Whether the world can be seen from above."""
        return self.spec.engine == "litelab"

    def choices(self, task: str | None = None, seed: int = 0, budget: int | str | None = None) -> Choices:
        """Make choices, with the bundle's own temperatures.

        Args:
            task: Name of the task; None for the first one of the domain's suite.
            seed: Seed of the episode.
            budget: Budget, or words; None for 16 codes, or M if that is less (M for a Fixed-K model).

        Raises:
            ValueError: There is no such task, or the seed is not a whole number of at least 0.
        """
        domain = find_domain(self.spec.domain)
        if task is None:
            task = next((one.name for one in domain.tasks() if one.scored), self.tasks[0])
        if budget is None:
            budget = min(16, self.slots) if self.prefix else self.slots
        own = self.bundle.config.decoding
        return Choices(domain.task(task).name, int64(seed, "seed", 0), budget, own.temperature, own.action_temperature)

    def budget(self, text: str | None) -> int | str | None:
        """Read a budget, a number or words; None stays None.

        Raises:
            ValueError: The policy does not take this budget, or the words name more than one.
        """
        if text is None:
            return None
        found = any_budgets(text, self.slots, self.prefix)
        if len(found) != 1:
            raise ValueError(f"budget is {text!r}; expected one budget.")
        return found[0]

    def env(self, task: str) -> gym.Env[Any, Any]:
        """Make the world of a task, with a view from above if there is one.

        Raises:
            ValueError: There is no such task.
        """
        return make_single(self.spec, task, evaluation=True, further=(MAP,) if self.mapped else ())

    def policy(self, choices: Choices, env: gym.Env[Any, Any] | None = None) -> LatentActionPolicy:
        """Make the policy with the viewer's choices.

        Args:
            choices: Seed, budget and temperatures.
            env: Environment that it will play, which is checked; None to check only the choices.

        Raises:
            ValueError: The budget or a temperature is not allowed, or the environment does not fit.
        """
        decoding = replace(
            self.bundle.config.decoding,
            temperature=choices.temperature,
            action_temperature=choices.action_temperature,
        )
        return LatentActionPolicy(self.bundle, choices.budget, decoding=decoding, seed=choices.seed, env=env)

    def expert(self, env: gym.Env[Any, Any], seed: int) -> Any:
        """Make the expert that is asked what it would do: the one of the bundle's video if it is named, else the
        scripted one.

        Returns:
            An expert without noise; None where no expert reads this world or plays with these actions.
        """
        try:
            return make_expert(adviser_of(self.bundle.config.training.get("experts", [])), env, 0.0, seed)
        except ValueError:
            return None


def load_source(checkpoint: str | Path | None = None, auto: str | None = None) -> Source:
    """Load a policy to watch.

    Args:
        checkpoint: Folder or hub id of a bundle; None for the one that comes with the package.
        auto: Words of the rule that chooses the budget at each decision; None for the best one of this bundle.

    Raises:
        CheckpointError: There is no such bundle, it is damaged, or it has no prior.
        ValueError: The words are not allowed.
    """
    bundle = load_bundle(checkpoint)
    domain = find_domain(bundle.config.environment.domain)
    spec = domain.resolve(bundle.config.environment.spec)
    tasks: Sequence[str] = [task.name for task in domain.tasks()]
    if auto is None:
        auto = AUTO if _can_choose(bundle) else None
    else:
        LatentActionPolicy(bundle, auto)  # refuses words that the policy cannot play with
    return Source(bundle, spec, tuple(tasks), auto)


def _can_choose(bundle: Bundle) -> bool:
    """Return whether a rule can choose the budget: every prefix is a latent action, and a rule fits the prior."""
    prior = bundle.prior()
    try:
        rule_of(AutoBudget(), bundle.budget, prior)
    except ValueError:
        return False
    return bool(bundle.lam.config.prefix)
