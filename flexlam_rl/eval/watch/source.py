"""What can be watched: a bundle, the world it was trained in, and the choices of whoever watches.

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
    """What whoever watches chooses.

    Attributes:
        task: Name of the task.
        seed: Of the episode (from the evaluation stream, which training never shares), of the policy's draws and of the
            decoder's noise.
        budget: K, or words that have it chosen at each decision.
        temperature: Of the codes; 0 takes the likeliest.
        action_temperature: Of the translator's actions; 0 takes the likeliest.
    """

    task: str
    seed: int
    budget: int | str
    temperature: float
    action_temperature: float


@dataclass(frozen=True)
class Source:
    """A policy and its world, from which any number of games are begun; they share its models.

    Attributes:
        bundle: The models.
        spec: The world, resolved.
        tasks: Names of its tasks.
        auto: Words of the budget that is chosen at each decision; None where the policy can choose none.
    """

    bundle: Bundle
    spec: EnvSpec
    tasks: tuple[str, ...]
    auto: str | None

    @property
    def slots(self) -> int:
        """M, the largest budget."""
        return self.bundle.slots

    @property
    def prefix(self) -> bool:
        """Whether any budget of 1 to M is allowed; a Fixed-K model takes M alone."""
        return bool(self.bundle.lam.config.prefix)

    @property
    def mapped(self) -> bool:
        """Whether the world can be seen from above."""
        return self.spec.engine == "litelab"

    def choices(self, task: str | None = None, seed: int = 0, budget: int | str | None = None) -> Choices:
        """Choose; what is not said is the first task of the domain's suite, 16 codes or M where that is less (M of a
        Fixed-K model), and the bundle's own temperatures.

        Raises:
            ValueError: There is no such task, or the seed is not a whole number from 0 on.
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
        """Make the world of a task, seen from above too where it can be.

        Raises:
            ValueError: There is no such task.
        """
        return make_single(self.spec, task, evaluation=True, further=(MAP,) if self.mapped else ())

    def policy(self, choices: Choices, env: gym.Env[Any, Any] | None = None) -> LatentActionPolicy:
        """Make the policy as chosen.

        Args:
            choices: Seed, budget and temperatures.
            env: What it will play, to be checked; None to check the choices alone.

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
        """Make the expert that says what it would do: that of the bundle's video where it names one, else the scripted
        one.

        Returns:
            An expert without noise, or None where none reads this world or plays with these actions.
        """
        try:
            return make_expert(adviser_of(self.bundle.config.training.get("experts", [])), env, 0.0, seed)
        except ValueError:
            return None


def load_source(checkpoint: str | Path | None = None, auto: str | None = None) -> Source:
    """Load a policy to be watched.

    Args:
        checkpoint: A bundle's folder or a hub id, None for the one that comes with the package.
        auto: Words of the budget that is chosen at each decision, None for those that serve this bundle best.

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
        LatentActionPolicy(bundle, auto)  # refuses others
    return Source(bundle, spec, tuple(tasks), auto)


def _can_choose(bundle: Bundle) -> bool:
    """Whether a budget can be chosen at each decision: any prefix is a latent action, and a rule serves the prior."""
    prior = bundle.prior()
    try:
        rule_of(AutoBudget(), bundle.budget, prior)
    except ValueError:
        return False
    return bool(bundle.lam.config.prefix)
