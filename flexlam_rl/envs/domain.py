"""`Domain`: a family of tasks that can be collected, learned from and played (DMLab is the first), and the registry of
domains.

To add a world, write one file in `envs/domains/` with a class that has these methods, and name it in `DOMAINS`; another
package registers its own with an entry point of the group `flexlam_rl.domains`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym

from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.utils.registry import Registry


@dataclass(frozen=True)
class Task:
    """One task of a domain.

    Attributes:
        name: What `--tasks` takes.
        scored: Whether it is part of the domain's suite.
        steps: Simulator frames of an episode that runs until the time is up, None where there is no limit.
        terminates: Whether its rules can end an episode before that.
    """

    name: str
    scored: bool
    steps: int | None
    terminates: bool


class Domain(Protocol):
    """A family of tasks with common actions and frames."""

    name: str

    def tasks(self) -> Sequence[Task]:
        """All tasks, in the order of tables."""
        ...

    def task(self, name: str) -> Task:
        """One task.

        Raises:
            ValueError: There is none of that name.
        """
        ...

    def resolve(self, spec: EnvSpec) -> EnvSpec:
        """Check a record and fill in what depends on this machine (`engine="auto"`) and on the action set (its hash).

        Raises:
            ValueError: A field is not allowed.
        """
        ...

    def make(self, task: str, spec: EnvSpec, evaluation: bool = False, **options: Any) -> gym.Env[Any, Any]:
        """Make one environment."""
        ...

    def make_vec(
        self, tasks: Sequence[str], spec: EnvSpec, evaluation: bool = False, **options: Any
    ) -> gym.vector.VectorEnv[Any, Any, Any]:
        """Make a batch, one environment per name in `tasks`, that resets by mask (autoreset disabled).

        `reset(options={"reset_mask": mask, "episode_seeds": seeds})` begins the named episodes; `info["map_reset"]`
        marks frames that do not follow from the frame before.
        """
        ...

    def reference(self, task: str, spec: EnvSpec) -> Any:
        """Mean returns of the random policy and of experts for a task, None where they have not been measured."""
        ...


DOMAINS: Registry[Domain] = Registry(
    "domain", {"dmlab": "flexlam_rl.envs.domains.dmlab.domain:DMLAB"}, group="flexlam_rl.domains"
)
