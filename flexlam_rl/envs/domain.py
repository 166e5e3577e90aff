"""`Domain`, a family of tasks that can be played and collected from (DMLab is the first), and the registry of domains.

To add a world, write one file in `envs/domains/` with a class that has these methods, and name an instance of it in
`DOMAINS`. Other packages register theirs with an entry point of the group `flexlam_rl.domains`. docs/add-a-world.md
shows a complete example.

`flexlam_rl.envs.episodes` adds seeded episodes and batches to any Gymnasium environment, and
`flexlam_rl.envs.action_spaces` describes its actions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym

from flexlam_rl.envs.base import env_spec_of
from flexlam_rl.envs.spec import ActionSpec, EnvSpec
from flexlam_rl.utils.registry import Registry


@dataclass(frozen=True)
class Task:
    """One task of a domain.

    Attributes:
        name: Name of the task, as `--tasks` takes it.
        scored: Whether the task is part of the domain's suite.
        frames: Simulator frames until an episode times out; None without a time limit.
        terminates: Whether the task's rules can end an episode earlier.
        words: Whether the task gives instructions that a player needs.
    """

    name: str
    scored: bool
    frames: int | None
    terminates: bool
    words: bool = False

    def steps(self, frame_skip: int) -> int | None:
        """Agent steps until an episode times out; None without a time limit."""
        return None if self.frames is None else -(-self.frames // frame_skip)


@dataclass(frozen=True)
class Reference:
    """A reference return of one task on one engine, which other returns are compared with.

    Attributes:
        engine: The engine on which it was measured.
        task: Name of the task.
        name: Who played: "expert" or "human".
        mean: Mean return.
        random: Mean return of the random policy on the same engine; None if it is not known.
    """

    engine: str
    task: str
    name: str
    mean: float
    random: float | None

    def percent(self, value: float, minus_random: bool = False) -> float:
        """Express a mean return of the same task and engine in percent of this one.

        Args:
            value: The mean return.
            minus_random: False gives 100 * value / mean; True gives 100 * (value - random) / (mean - random).

        Raises:
            ValueError: `mean` is not above 0 (with `minus_random`, above `random`), or the random policy's return is
                needed and not known.
        """
        if minus_random and self.random is None:
            raise ValueError(
                f"The random policy's return of {self.task!r} on {self.engine!r} is not known for the reference "
                f"{self.name!r}: use minus_random=False."
            )
        low = self.random if minus_random and self.random is not None else 0.0
        if self.mean <= low:
            raise ValueError(
                f"The reference {self.name!r} of {self.task!r} on {self.engine!r} is {self.mean:g}, not above {low:g}: "
                "a percentage of it would be meaningless."
            )
        return 100.0 * (value - low) / (self.mean - low)


class Domain(Protocol):
    """A family of tasks that share actions and the form of frames.

    Each environment of a domain

    - has `env_spec`, the record that it was made from;
    - shows frames as `flexlam_rl.envs.observations` describes;
    - accepts `reset(options={"episode_seed": s})` and reports `episode_seed` in its info;
    - reports `map_reset` in its info if the world can restart its map within an episode: such a frame does not follow
      from the frame before;
    - reports a time-out as `truncated`.
    """

    name: str

    def tasks(self) -> Sequence[Task]:
        """All tasks, in the order of tables."""
        ...

    def task(self, name: str) -> Task:
        """Find a task.

        Raises:
            ValueError: There is none of that name.
        """
        ...

    def defaults(self) -> EnvSpec:
        """The resolved record of an environment that is made without any options."""
        ...

    def resolve(self, spec: EnvSpec) -> EnvSpec:
        """Check a record and fill in what depends on this machine (`engine="auto"`) and on the action set (its hash).

        Raises:
            ValueError: A field is not allowed.
        """
        ...

    def actions(self, spec: EnvSpec) -> ActionSpec:
        """Describe the actions of a record's action set."""
        ...

    def make(
        self,
        task: str,
        spec: EnvSpec,
        evaluation: bool = False,
        frames: bool = True,
        words: bool = False,
        **options: Any,
    ) -> gym.Env[Any, Any]:
        """Make one environment.

        Args:
            task: Name of the task.
            spec: How the task is shown and controlled; it is resolved first.
            evaluation: Draw episode seeds from the held-out stream.
            frames: Whether the player needs frames; if not, the environment may skip drawing.
            words: Whether to include instructions in the observations.
            **options: Options of this domain.
        """
        ...

    def make_vec(
        self,
        tasks: Sequence[str],
        spec: EnvSpec,
        evaluation: bool = False,
        frames: bool = True,
        words: bool = False,
        **options: Any,
    ) -> gym.vector.VectorEnv[Any, Any, Any]:
        """Make a batch with one environment per name in `tasks`, which is reset by mask (autoreset is disabled).

        `reset(options={"reset_mask": mask, "episode_seeds": seeds})` begins the episodes of these seeds;
        `flexlam_rl.envs.episodes.map_resets` reads map restarts from the infos.

        Args:
            tasks: Names of tasks.
            spec, evaluation, frames, words: As for `make`.
            **options: Options of this domain.
        """
        ...

    def reference(self, task: str, spec: EnvSpec, name: str = "expert") -> Reference | None:
        """Find a reference return of a task ("expert", "human"); None if it has not been measured."""
        ...

    def shows_last(self, spec: EnvSpec) -> bool:
        """Whether an episode's final observation is new; False if it repeats the one before the last action."""
        ...


def tasks_named(domain: Domain, names: Sequence[str], everything: Sequence[str] = ()) -> list[str]:
    """Expand names and groups of tasks to a list of names without repetitions.

    Args:
        domain: Domain of the tasks.
        names: Names of tasks, `suite` for all scored tasks, or `all`.
        everything: The tasks that `all` stands for; empty for all tasks of the domain.

    Raises:
        ValueError: There is no task of a given name, or no name was given.
    """
    tasks = domain.tasks()
    groups = {
        "all": tuple(everything) or tuple(task.name for task in tasks),
        "suite": tuple(task.name for task in tasks if task.scored),
    }
    found: dict[str, None] = {}
    for name in names:
        found |= dict.fromkeys(groups.get(name) or (domain.task(name).name,))
    if not found:
        raise ValueError(
            f"--tasks names no task: give all, suite, or names as `flexlam levels --domain {domain.name}` lists them."
        )
    return list(found)


DOMAINS: Registry[Any] = Registry(
    "domain",
    {
        "dmlab": "flexlam_rl.envs.domains.dmlab.domain:DMLAB",
        "vizdoom": "flexlam_rl.envs.domains.vizdoom.domain:VIZDOOM",
        "gymnasium": "flexlam_rl.envs.domains.gymnasium.domain:GymnasiumDomain",
    },
    group="flexlam_rl.domains",
)


def find_domain(name: str) -> Domain:
    """Find a domain by name.

    Args:
        name: Name in `DOMAINS`. "family:argument" calls the entry "family" with the argument, so that one file can
            provide a domain per environment ("gymnasium:CarRacing-v3").

    Raises:
        ValueError: There is no such domain, or the argument is missing or not accepted.
    """
    family, colon, argument = name.partition(":")
    found = DOMAINS.get(family)
    if callable(found) != bool(colon):
        expected = f"{family}:NAME" if callable(found) else family
        raise ValueError(f"There is no domain {name!r}: expected {expected!r}.")
    domain: Domain = found(argument) if colon else found
    return domain


def shows_last(env: Any) -> bool:
    """Whether an environment or batch shows a new observation after an episode's last action (`Domain.shows_last`).

    Environments without a record are taken to do so.
    """
    spec = env_spec_of(env)
    return spec is None or find_domain(spec.domain).shows_last(spec)
