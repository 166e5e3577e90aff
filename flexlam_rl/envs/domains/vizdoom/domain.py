"""ViZDoom as a domain."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode

from flexlam_rl.envs.checks import check_values, integer
from flexlam_rl.envs.domain import Reference, Task
from flexlam_rl.envs.domains.vizdoom.actions import LABELS, NAME, SPEC
from flexlam_rl.envs.domains.vizdoom.env import DoomEnv
from flexlam_rl.envs.domains.vizdoom.game import screen_for
from flexlam_rl.envs.domains.vizdoom.tasks import TASKS, task_named
from flexlam_rl.envs.episodes import SeededEpisodes, make_batch
from flexlam_rl.envs.measured import measured_reference
from flexlam_rl.envs.spec import ActionSpec, EnvSpec

ENGINE = "vizdoom"
LOOKS = {"hud": ("none", "full"), "textures": ("freedoom",)}
RETURNS = Path(__file__).with_name("returns.json")


class ViZDoom:
    """The domain of ViZDoom: ten scenarios with a common action set."""

    name = "vizdoom"
    at_once = 16  # environments per batch; each engine needs a third of a second to start

    def tasks(self) -> Sequence[Task]:
        """All scenarios, in the order of tables."""
        return list(TASKS.values())

    def task(self, name: str) -> Task:
        """Find a scenario by name.

        Raises:
            ValueError: There is no scenario of that name.
        """
        return task_named(name)

    def defaults(self) -> EnvSpec:
        """The record with default options: 64x64 pixels, four tics per step, and no status bar, as in the scenarios."""
        return self.resolve(EnvSpec(self.name, ENGINE, NAME, look=()))

    def resolve(self, spec: EnvSpec) -> EnvSpec:
        """Check a record and fill in the engine, the action set's hash and the look.

        Raises:
            ValueError: A field is not allowed.
        """
        if spec.domain != self.name:
            raise ValueError(f"The record is of the domain {spec.domain!r}: expected {self.name!r}.")
        look = {name: values[0] for name, values in LOOKS.items()} | dict(spec.look)
        if unknown := sorted(set(look) - set(LOOKS)):
            raise ValueError(f"vizdoom has no look {unknown[0]!r}: expected {' and '.join(LOOKS)}.")
        fields = {
            "engine": ((ENGINE, "auto"), spec.engine),
            "action_set": ((NAME,), spec.action_set),
            "action_hash": ((SPEC.hash, ""), spec.action_hash),
            **{name: (values, look[name]) for name, values in LOOKS.items()},
        }
        check_values(self.name, fields)
        for name in ("frame_skip", "width", "height"):
            integer(name, getattr(spec, name))
        screen_for(spec.width, spec.height)
        return replace(spec, engine=ENGINE, action_hash=SPEC.hash, look=tuple(look.items()))

    def actions(self, spec: EnvSpec) -> ActionSpec:
        """Describe the actions."""
        return SPEC

    def action_labels(self, spec: EnvSpec) -> tuple[str, ...]:
        """Say in words what each action does."""
        return LABELS

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
            frames, words: Ignored: frames are always drawn, and no task has instructions.
            **options: `render_mode`.

        Raises:
            ValueError: An option is not allowed.
        """
        return SeededEpisodes(DoomEnv(task_named(task), self.resolve(spec), **options), evaluation)

    def make_vec(
        self,
        tasks: Sequence[str],
        spec: EnvSpec,
        evaluation: bool = False,
        frames: bool = True,
        words: bool = False,
        **options: Any,
    ) -> gym.vector.VectorEnv[Any, Any, Any]:
        """Make a batch whose environments step at the same time: each engine is a process, and threads wait for them.

        Args:
            tasks, spec, evaluation, frames, words: As for `make`.
            **options: `copy` and `autoreset_mode` of `flexlam_rl.envs.episodes.make_batch`, and those of `make`.

        Raises:
            ValueError: A task or an option is not allowed.
        """
        batch = {name: options.pop(name) for name in ("copy", "autoreset_mode") if name in options}
        makers = [partial(self.make, task_named(task).name, spec, evaluation, **options) for task in tasks]
        return make_batch(makers, threads=True, **{"autoreset_mode": AutoresetMode.DISABLED, **batch})

    def reference(self, task: str, spec: EnvSpec, name: str = "expert") -> Reference | None:
        """Find a reference that `flexlam expert score --domain vizdoom` measured; None if there is none."""
        return measured_reference(RETURNS, spec.engine, task_named(task).name, name)

    def engine_version(self) -> str:
        """Version of the package `vizdoom`, which contains the engine and its data."""
        return version("vizdoom")

    def shows_last(self, spec: EnvSpec) -> bool:
        """False: the engine has no observation after death, so the last one is repeated."""
        return False


VIZDOOM = ViZDoom()
