"""A domain for any Gymnasium environment, which is its only task: `gymnasium:CarRacing-v3`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode

from flexlam_rl.envs.action_spaces import action_spec_of
from flexlam_rl.envs.checks import check_values, integer
from flexlam_rl.envs.domain import Reference, Task
from flexlam_rl.envs.domains.gymnasium.env import PictureEnv, is_picture
from flexlam_rl.envs.episodes import SeededEpisodes, make_batch
from flexlam_rl.envs.spec import ActionSpec, EnvSpec

ENGINE, ACTIONS = "gymnasium", "own"
LONGEST = 10_000  # limit of steps per episode for environments that have none


@dataclass(frozen=True)
class _Facts:
    """Properties of an environment.

    Attributes:
        actions: Description of its actions.
        steps: Limit of steps per episode.
        pictures: Whether its observations are pictures.
        limited: Whether the limit is the environment's own.
    """

    actions: ActionSpec
    steps: int
    pictures: bool
    limited: bool


@cache
def _facts(env_id: str) -> _Facts:
    """Make an environment to find out its properties.

    Raises:
        ValueError: There is no such environment, it shows no pictures, or its action space is not supported.
        ImportError: A package that it needs is not installed.
    """
    try:
        env = gym.make(env_id, disable_env_checker=True)
    except gym.error.DependencyNotInstalled as error:
        raise ImportError(f"The environment {env_id!r} needs a package that is not installed: {error}.") from None
    except (gym.error.Error, ModuleNotFoundError) as error:
        raise ValueError(f"Gymnasium makes no environment {env_id!r}: {error}") from None
    try:
        pictures = is_picture(env.observation_space)
        if not pictures and "rgb_array" not in env.metadata.get("render_modes", ()):
            raise ValueError(
                f"The environment {env_id!r} shows no pictures: its observations are {env.observation_space}; "
                "expected pictures, or the render mode 'rgb_array'."
            )
        limit = None if env.spec is None else env.spec.max_episode_steps
        return _Facts(action_spec_of(env.action_space, ACTIONS), limit or LONGEST, pictures, limit is not None)
    finally:
        env.close()


class GymnasiumDomain:
    """A domain of one environment that is registered with Gymnasium.

    Args:
        env_id: Name of the environment, as `gymnasium.make` takes it.

    Raises:
        ValueError: There is no such environment, it shows no pictures, or its action space is not supported.
        ImportError: A package that it needs is not installed.
    """

    at_once = 16  # environments per batch, which are stepped one after the other

    def __init__(self, env_id: str) -> None:
        self.env_id, self.name, self._facts = env_id, f"gymnasium:{env_id}", _facts(env_id)

    def tasks(self) -> Sequence[Task]:
        """The only task, named like the environment with "-" in place of "/" and ":", which folders cannot contain."""
        name = self.env_id.replace("/", "-").replace(":", "-")
        return [Task(name, scored=True, frames=self._facts.steps, terminates=True)]

    def task(self, name: str) -> Task:
        """Find the task by its own name or the environment's.

        Raises:
            ValueError: The task has another name.
        """
        task = self.tasks()[0]
        if name not in (task.name, self.env_id):
            raise ValueError(f"Unknown task {name!r} of {self.name}: expected {task.name!r}.")
        return task

    def defaults(self) -> EnvSpec:
        """The record with default options: 64x64 pixels, each action is played once."""
        return self.resolve(EnvSpec(self.name, ENGINE, ACTIONS, frame_skip=1, look=()))

    def resolve(self, spec: EnvSpec) -> EnvSpec:
        """Check a record and fill in the hash of the actions.

        Raises:
            ValueError: A field is not allowed.
        """
        known = self._facts.actions.hash
        fields = {
            "domain": ((self.name,), spec.domain),
            "engine": ((ENGINE, "auto"), spec.engine),
            "action_set": ((ACTIONS,), spec.action_set),
            "action_hash": ((known, ""), spec.action_hash),
        }
        check_values(self.name, fields)
        if spec.look:
            raise ValueError(f"{self.name} has no look {spec.look[0][0]!r}: expected none.")
        for name in ("frame_skip", "width", "height"):
            integer(name, getattr(spec, name))
        return replace(spec, engine=ENGINE, action_hash=known)

    def actions(self, spec: EnvSpec) -> ActionSpec:
        """Describe the environment's own actions."""
        return self._facts.actions

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
            task, spec, evaluation: As for `Domain.make`.
            frames, words: Ignored: frames are always drawn, and there are no instructions.
            **options: Keyword arguments of the environment itself.

        Raises:
            ValueError: A task or a field of the record is not allowed.
        """
        spec, name = self.resolve(spec), self.task(task).name
        if not self._facts.pictures:
            options = {"render_mode": "rgb_array", **options}
        limit = {} if self._facts.limited else {"max_episode_steps": self._facts.steps}
        env = gym.make(self.env_id, disable_env_checker=True, **limit, **options)
        return SeededEpisodes(PictureEnv(env, spec, name), evaluation)

    def make_vec(
        self,
        tasks: Sequence[str],
        spec: EnvSpec,
        evaluation: bool = False,
        frames: bool = True,
        words: bool = False,
        **options: Any,
    ) -> gym.vector.VectorEnv[Any, Any, Any]:
        """Make a batch, by default in this process.

        Args:
            tasks, spec, evaluation, frames, words: As for `make`.
            **options: `processes`, `copy`, `context` and `autoreset_mode` of `flexlam_rl.envs.episodes.make_batch`, and
                those of `make`.

        Raises:
            ValueError: A task or a field of the record is not allowed.
        """
        spec = self.resolve(spec)
        known = ("processes", "copy", "context", "autoreset_mode")
        batch = {name: options.pop(name) for name in known if name in options}
        makers = [partial(self.make, self.task(task).name, spec, evaluation, **options) for task in tasks]
        return make_batch(makers, **{"autoreset_mode": AutoresetMode.DISABLED, **batch})

    def reference(self, task: str, spec: EnvSpec, name: str = "expert") -> Reference | None:
        """None, because the package has no references for these environments."""
        return None

    def engine_version(self) -> str:
        """Version of Gymnasium."""
        return gym.__version__

    def shows_last(self, spec: EnvSpec) -> bool:
        """True: an episode's final observation is always new."""
        return True
