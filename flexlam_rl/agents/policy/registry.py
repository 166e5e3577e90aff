"""Policies by name, as `eval.suite --policy` takes them; other packages can add theirs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flexlam_rl.agents.experts.registry import EXPERTS, checked, is_reader, make_expert
from flexlam_rl.utils.registry import Registry

if TYPE_CHECKING:  # playing needs the extra `data`; the random policy does not
    from flexlam_rl.agents.rollout import Policy

Factory = Callable[..., Any]
POLICIES: Registry[Factory] = Registry(
    "policy",
    {
        "flexlam": "flexlam_rl.agents.policy.factories:flexlam",
        "oracle": "flexlam_rl.agents.policy.factories:oracle",
        "random": "flexlam_rl.agents.policy.factories:random",
        "expert": "flexlam_rl.agents.policy.factories:expert",
        "reactive": "flexlam_rl.agents.policy.factories:reactive",
        "previous-action": "flexlam_rl.agents.policy.factories:previous_action",
        "bc": "flexlam_rl.agents.policy.factories:cloning",
        "planner": "flexlam_rl.agents.policy.factories:planner",
    },
    group="flexlam_rl.policies",
)
"""Factories `factory(env, checkpoint=None, seed=0, device="cpu", deterministic=None)` of objects with
Stable-Baselines3's `predict`. A factory with a parameter `budgets` gets the budget of each environment, one with a
parameter `player` the `Player`. Installed packages add theirs with entry points of the group `flexlam_rl.policies`.
"""
BLIND = ("random", "expert", "reactive", "previous-action")
"""Policies that do not look at frames; frames are then not drawn."""


def register_policy(name: str, factory: Factory) -> None:
    """Give a policy a name in this process.

    Args:
        name: Name for `--policy`.
        factory: Factory, as `POLICIES` describes it.

    Raises:
        ValueError: The name is taken.
    """
    POLICIES.register(name, factory)


def policy_names() -> tuple[str, ...]:
    """Return the names of all policies."""
    return POLICIES.names()


@dataclass(frozen=True)
class Player:
    """A policy's name and options; `make` makes the policy for an environment.

    Attributes:
        name: One of `policy_names()`, "module:factory", or the name of an expert as `flexlam collect --expert` takes it
            ("learned:PATH").
        checkpoint: For "flexlam", "oracle" and "previous-action", a bundle, or None for the one that comes with the
            package; for "bc" a run; for "planner" a file; other policies decide themselves.
        seed: Seed of the policy's randomness.
        device: Device of its models.
        deterministic: True for the likeliest codes and actions, False for drawn ones, None for the policy's default.
        chunk: Number of rows that are computed together, as for `LatentActionPolicy`.
        workers: Number of threads that compute chunks.
        any_look: Whether to accept another engine, look or overlay than the policy was trained with.
        cache: "fp32" or "bf16", as for `LatentActionPolicy`.
        temperatures: Temperatures of a latent action policy's codes and actions, None for the bundle's own; the second
            one also counts for an expert's actions.
        context: Number of frames that a latent action policy sees; None for the bundle's own.
        history: Number of codes of past blocks that it sees, or "auto:TOLERANCE"; None for the bundle's own.
    """

    name: str = "flexlam"
    checkpoint: Path | str | None = None
    seed: int = 0
    device: str = "cpu"
    deterministic: bool | None = None
    chunk: int | None = None
    workers: int = 1
    any_look: bool = False
    cache: str = "fp32"
    temperatures: tuple[float | None, float | None] = (None, None)
    context: int | None = None
    history: str | None = None

    @property
    def learned(self) -> bool:
        """Whether it plays a bundle at a budget."""
        return self.name in ("flexlam", "oracle")

    @property
    def expert(self) -> bool:
        """Whether it is one of `EXPERTS`, and not a policy of the registry."""
        return self.name not in POLICIES and self.name.partition(":")[0] in EXPERTS

    @property
    def expert_temperature(self) -> float:
        """Temperature of an expert's actions; 0 for the likeliest ones."""
        actions = self.temperatures[1]
        return 0.0 if self.deterministic else 1.0 if actions is None else actions

    @property
    def blind(self) -> bool:
        """Whether it does not look at frames."""
        return self.name in BLIND or is_reader(self.name)

    @cached_property
    def bundle(self) -> Any:
        """Its bundle, which is loaded once."""
        try:
            from flexlam_rl.agents.policy.bundle import load_bundle
        except ModuleNotFoundError as error:
            raise ImportError(
                f"A trained policy needs the package {error.name!r}: install flexlam_rl with its extra `models`."
            ) from None
        return load_bundle(self.checkpoint, self.device)

    @property
    def decoding(self) -> Any:
        """Options of a latent action policy's decisions: the bundle's own, with the player's changes."""
        changes = {
            "temperature": self.temperatures[0],
            "action_temperature": self.temperatures[1],
            "context": self.context,
            "history": self.history,
        }
        return replace(
            self.bundle.config.decoding, **{name: value for name, value in changes.items() if value is not None}
        )

    @cached_property
    def _executor(self) -> ThreadPoolExecutor | None:
        return ThreadPoolExecutor(self.workers) if self.workers > 1 else None

    @property
    def executor(self) -> ThreadPoolExecutor | None:
        """Executor that computes chunks in parallel; None computes them one by one."""
        return self._executor

    def check_name(self) -> None:
        """Refuse an unknown name.

        Raises:
            ValueError: There is no such policy; the message lists those that there are.
        """
        if self.name not in POLICIES and self.name not in EXPERTS and ":" not in self.name:
            raise ValueError(
                f"Unknown policy {self.name!r}: expected {', '.join(policy_names())}, or 'module:factory'."
            )

    def make(self, env: Any, budgets: np.ndarray | int | str | None = None) -> Policy:
        """Make the policy for an environment or batch.

        Args:
            env: Environment or batch that it will play.
            budgets: Budget of a latent action policy, as one or one per environment.

        Raises:
            ValueError: There is no such policy, or it cannot play this environment.
        """
        self.check_name()
        if self.name not in POLICIES:
            return make_expert(self.name, env, self.expert_temperature, self.seed)
        factory = POLICIES.get(self.name)
        more = {"budgets": budgets, "player": self}
        named = inspect.signature(factory).parameters
        policy: Policy = factory(
            env,
            checkpoint=self.checkpoint,
            seed=self.seed,
            device=self.device,
            deterministic=self.deterministic,
            **{name: value for name, value in more.items() if name in named},
        )
        return checked(policy, f"Policy {self.name!r}")
