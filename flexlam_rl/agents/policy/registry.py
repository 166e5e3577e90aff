"""Policies by name: what `eval.suite --policy` takes, other packages' among them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flexlam_rl.agents.experts.registry import is_reader, make_expert

if TYPE_CHECKING:  # playing needs the extra `data`, which the random policy does without
    from flexlam_rl.agents.rollout import Policy

GROUP = "flexlam_rl.policies"
BUILT_IN = ("flexlam", "random", "expert", "reactive", "previous-action", "bc")
BLIND = ("random", "expert", "reactive", "previous-action")
"""Who does not look at frames, which are then not drawn."""
Factory = Callable[..., Any]
_REGISTERED: dict[str, Factory] = {}


def register_policy(name: str, factory: Factory) -> None:
    """Give a policy a name in this process; installed packages do so with an entry point of the group
    `flexlam_rl.policies`.

    Args:
        name: What `--policy` takes.
        factory: `factory(env, checkpoint=None, seed=0, device="cpu", deterministic=None)` returns an object with
            Stable-Baselines3's `predict` for an environment or batch.

    Raises:
        ValueError: The name is one of the built-in ones.
    """
    if name in BUILT_IN:
        raise ValueError(f"Policy {name!r} is built in: choose another name.")
    _REGISTERED[name] = factory


def _found() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def policy_names() -> tuple[str, ...]:
    """All names known here."""
    return (*BUILT_IN, *sorted({*_REGISTERED, *_found()}))


@dataclass(frozen=True)
class Player:
    """Who plays, and how; `make` gives the policy for an environment.

    Attributes:
        name: One of `policy_names()`, or "module:factory", or what `--expert` of `flexlam collect` takes
            ("learned:PATH").
        checkpoint: Bundle of "flexlam" and "previous-action", None for the one that comes with the package; run of
            "bc"; others' own.
        seed: Of the policy's randomness.
        device: Of its models.
        deterministic: True for the likeliest codes and actions, False for drawn ones, None for the policy's own way.
        chunk: As for `LatentActionPolicy`.
        workers: Threads that compute chunks.
        any_look: Play in another engine, look or overlay than trained in.
        cache: "fp32" or "bf16", as for `LatentActionPolicy`.
        temperatures: Of a latent action policy's codes and actions, None for the bundle's own.
        context: Frames back that a latent action policy sees, None for the bundle's own.
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

    @property
    def learned(self) -> bool:
        """Whether it is a latent action policy, which takes a budget."""
        return self.name == "flexlam"

    @property
    def blind(self) -> bool:
        """Whether it sees no frames."""
        return self.name in BLIND or is_reader(self.name)

    @cached_property
    def bundle(self) -> Any:
        """Its bundle, loaded once."""
        try:
            from flexlam_rl.agents.policy.bundle import load_bundle
        except ModuleNotFoundError as error:
            raise ImportError(
                f"A trained policy needs the package {error.name!r}: install flexlam_rl with its extra `models`."
            ) from None
        return load_bundle(self.checkpoint, self.device)

    @property
    def decoding(self) -> Any:
        """How a latent action policy decides: the bundle's way, changed where told."""
        changes = {
            "temperature": self.temperatures[0],
            "action_temperature": self.temperatures[1],
            "context": self.context,
        }
        return replace(
            self.bundle.config.decoding, **{name: value for name, value in changes.items() if value is not None}
        )

    @cached_property
    def _executor(self) -> ThreadPoolExecutor | None:
        return ThreadPoolExecutor(self.workers) if self.workers > 1 else None

    def check_name(self) -> None:
        """Refuse a name that nothing has.

        Raises:
            ValueError: With the names there are.
        """
        if self.name not in policy_names() and ":" not in self.name:
            raise ValueError(
                f"Unknown policy {self.name!r}: expected {', '.join(policy_names())}, or 'module:factory'."
            )

    def make(self, env: Any, budgets: np.ndarray | int | None = None) -> Policy:
        """The policy for an environment or batch.

        Args:
            env: What it will play.
            budgets: Of a latent action policy: one, or one for each environment.

        Raises:
            ValueError: No such policy, or it cannot play this environment.
        """
        self.check_name()
        if self.name == "flexlam":
            import torch

            from flexlam_rl.agents.policy.latent_action import LatentActionPolicy

            if self.cache not in ("fp32", "bf16"):
                raise ValueError(f"cache is {self.cache!r}; expected 'fp32' or 'bf16'.")
            return LatentActionPolicy(
                self.bundle, budgets, deterministic=self.deterministic, seed=self.seed, chunk=self.chunk, env=env,
                decoding=self.decoding, any_look=self.any_look, executor=self._executor,
                cache=torch.bfloat16 if self.cache == "bf16" else None,
            )  # fmt: skip
        if self.name == "previous-action":
            from flexlam_rl.agents.policy.bundle import folder_of, read_config
            from flexlam_rl.agents.policy.previous_action import PreviousActionPolicy

            return PreviousActionPolicy(read_config(folder_of(self.checkpoint)).labels.pairs, env, self.seed)
        if self.name == "bc":
            from flexlam_rl.agents.policy.cloning import CloningPolicy

            return CloningPolicy(self.checkpoint, env, self.seed, self.device, self.deterministic, self.chunk)
        if self.name in ("random", "expert", "reactive"):
            return make_expert("scripted" if self.name == "expert" else self.name, env, seed=self.seed)
        factory = _REGISTERED.get(self.name)
        if factory is None and self.name in (points := _found()):
            factory = points[self.name].load()
        if factory is None:
            return make_expert(self.name, env, seed=self.seed)
        policy = factory(
            env, checkpoint=self.checkpoint, seed=self.seed, device=self.device, deterministic=self.deterministic
        )
        if not callable(getattr(policy, "predict", None)):
            kind = type(policy).__name__
            raise ValueError(
                f"Policy {self.name!r} made a {kind}, which has no predict(observation, state, episode_start, "
                "deterministic)."
            )
        return policy
