"""`Domain`: a family of tasks that can be collected, learned from and played (DMLab is the first), and the registry of
domains.

To add a world, write one file in `envs/domains/` with a class that has these methods, and name an object of it in
`DOMAINS`; another package registers its own with an entry point of the group `flexlam_rl.domains`. docs/add-a-world.md
shows one whole.
`flexlam_rl.envs.episodes` makes numbered episodes and batches of any Gymnasium environment,
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
        name: What `--tasks` takes.
        scored: Whether it is part of the domain's suite.
        frames: Simulator frames of an episode that runs until the time is up, None where there is no limit.
        terminates: Whether its rules can end an episode before that.
        words: Whether it gives instructions that a player needs.
    """

    name: str
    scored: bool
    frames: int | None
    terminates: bool
    words: bool = False

    def steps(self, frame_skip: int) -> int | None:
        """Agent steps of an episode that runs until the time is up, None where there is no limit."""
        return None if self.frames is None else -(-self.frames // frame_skip)


@dataclass(frozen=True)
class Reference:
    """Returns of one task on one engine, to compare with.

    Attributes:
        engine, task, name: What was measured where; `name` is "expert" or "human".
        mean: Its mean return.
        random: The random policy's mean return on the same engine, None where it is not known.
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
            minus_random: False gives 100 * value / mean; True 100 * (value - random) / (mean - random).

        Raises:
            ValueError: The reference is not above what it is compared with, or the random policy's return is needed and
                not known.
        """
        if minus_random and self.random is None:
            raise ValueError(
                f"The random policy's return of {self.task!r} on {self.engine!r} beside reference {self.name!r} is not "
                "known: use minus_random=False."
            )
        low = self.random if minus_random and self.random is not None else 0.0
        if self.mean <= low:
            raise ValueError(
                f"The reference {self.name!r} of {self.task!r} on {self.engine!r} is {self.mean:g}, not above {low:g}: "
                "a percentage says nothing."
            )
        return 100.0 * (value - low) / (self.mean - low)


class Domain(Protocol):
    """A family of tasks with common actions and frames.

    An environment that it makes has `env_spec`, the record that it was made from. It shows frames as
    `flexlam_rl.envs.observations` says, takes `reset(options={"episode_seed": s})`, tells `episode_seed` in its info
    and, where the world can restart its map within an episode, `map_reset`: a frame that does not follow from the one
    before. A time-out is `truncated`.
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
        """The record of an environment whose user says nothing about it, resolved."""
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
            task: Its name.
            spec: How it is shown and controlled; it is resolved first.
            evaluation: Draw episode seeds from the held-out stream.
            frames: Whether the player needs frames; without them nothing has to be drawn.
            words: Whether instructions are among the observations.
            **options: What this domain alone knows.
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
        """Make a batch, one environment for each name in `tasks`, that resets by mask (autoreset disabled).

        `reset(options={"reset_mask": mask, "episode_seeds": seeds})` begins the named episodes;
        `flexlam_rl.envs.episodes.map_resets` reads restarts from its infos.
        """
        ...

    def reference(self, task: str, spec: EnvSpec, name: str = "expert") -> Reference | None:
        """Find a reference return of a task ("expert", "human"), None where it has not been measured."""
        ...

    def shows_last(self, spec: EnvSpec) -> bool:
        """Whether the observation after an episode's last action is a true one, not a repetition of the one before."""
        ...


def tasks_named(domain: Domain, names: Sequence[str], everything: Sequence[str] = ()) -> list[str]:
    """Spell tasks out, each once.

    Args:
        domain: Their world.
        names: Their names, `suite` for those that are scored, or `all`.
        everything: What `all` stands for, all of the domain where it is empty.

    Raises:
        ValueError: There is none of a name, or no name at all.
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
    """Find a domain.

    Args:
        name: As registered in `DOMAINS`. "family:argument" calls what is registered as "family" with the argument, so
            that one file serves a domain for each of many environments ("gymnasium:CarRacing-v3").

    Raises:
        ValueError: There is none of that name, or it takes no argument, or needs one.
    """
    family, colon, argument = name.partition(":")
    found = DOMAINS.get(family)
    if callable(found) != bool(colon):
        expected = f"{family}:NAME" if callable(found) else family
        raise ValueError(f"There is no domain {name!r}: expected {expected!r}.")
    domain: Domain = found(argument) if colon else found
    return domain


def shows_last(env: Any) -> bool:
    """Whether an environment or batch shows a true observation after an episode's last action; one that has no record
    does.
    """
    spec = env_spec_of(env)
    return spec is None or find_domain(spec.domain).shows_last(spec)
