"""DeepMind Lab as a domain: its levels are the tasks, on litelab or on the real engine."""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, VectorEnv

from flexlam_rl.envs.domain import Reference, Task
from flexlam_rl.envs.domains.dmlab.actions import ACTION_SETS, NATIVE_HIGH, NATIVE_LOW, action_set
from flexlam_rl.envs.domains.dmlab.env import DMLabEnv
from flexlam_rl.envs.domains.dmlab.levels import LEVELS, Level, level_named
from flexlam_rl.envs.domains.dmlab.options import HUDS, ORIGINAL, check_spec
from flexlam_rl.envs.domains.dmlab.returns import known_reference
from flexlam_rl.envs.domains.dmlab.vector import make_vector
from flexlam_rl.envs.litelab.settings import TEXTURES
from flexlam_rl.envs.observations import FRAME, WORDS
from flexlam_rl.envs.spec import ActionSpec, EnvSpec

_BLIND = "DEBUG.POS.TRANS"  # an observation that needs no drawing


def _task(level: Level) -> Task:
    return Task(level.name, level.scored, level.frames, level.terminates, words=level.name.startswith("language_"))


class DMLab:
    """The domain of DeepMind Lab: the 17 levels that the project supports, and one that only litelab has."""

    name = "dmlab"

    def tasks(self) -> Sequence[Task]:
        """All levels of DeepMind Lab, in the order of tables. litelab's own level is found by name only."""
        return [_task(level) for level in LEVELS.values()]

    def task(self, name: str) -> Task:
        """Find a level by name, with or without its folder (`contributed/dmlab30/`).

        Raises:
            ValueError: There is no level of that name.
        """
        return _task(level_named(name))

    def defaults(self) -> EnvSpec:
        """The record with the default options of `DMLabEnv`, on the engine that "auto" stands for."""
        return self.resolve(EnvSpec(domain=self.name, engine="auto"))

    def resolve(self, spec: EnvSpec) -> EnvSpec:
        """Check a record and fill in the engine, the action set's hash and, on the real engine, its only look.

        Raises:
            ValueError: A field is not allowed.
        """
        if spec.domain != self.name:
            raise ValueError(f"The record is of the domain {spec.domain!r}: expected {self.name!r}.")
        look = {"hud": HUDS[0], "textures": TEXTURES[0]} | dict(spec.look)
        if unknown := sorted(set(look) - {"hud", "textures"}):
            raise ValueError(f"dmlab has no look {unknown[0]!r}: expected hud and textures.")
        given = look["textures"]
        plain = TEXTURES[0] if given == ORIGINAL else given
        found = check_spec(spec.engine, spec.action_set, spec.frame_skip, spec.width, spec.height, look["hud"], plain)
        if given == ORIGINAL and found.engine == "litelab":
            raise ValueError(
                f"textures {ORIGINAL!r} exists on deepmind_lab only: expected one of {', '.join(TEXTURES)} on litelab."
            )
        if given not in (ORIGINAL, TEXTURES[0]) and found.engine != "litelab":
            raise ValueError(
                f"textures {given!r} exists on litelab only: expected {ORIGINAL!r}, the only look of {found.engine}."
            )
        if spec.action_hash not in ("", found.action_hash):
            raise ValueError(
                f"The record gives the action set {spec.action_set!r} the hash {spec.action_hash}: expected "
                f"{found.action_hash}."
            )
        return found

    def actions(self, spec: EnvSpec) -> ActionSpec:
        """Describe the actions; the numbers of `native7` are counted from their lowest values."""
        found = action_set(spec.action_set)
        native = tuple(high - low + 1 for low, high in zip(NATIVE_LOW, NATIVE_HIGH, strict=True))
        return ActionSpec((len(found),) if found.is_discrete else native, 0, found.name, found.hash)

    def action_labels(self, spec: EnvSpec) -> tuple[str, ...]:
        """Say in words what each action does; empty for `native7`, which has no named actions, and for unknown sets."""
        found = ACTION_SETS.get(spec.action_set)
        return found.labels if found is not None and found.is_discrete else ()

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
            task, spec, evaluation, frames, words: As for `Domain.make`.
            **options: Further options of `DMLabEnv` (`render_mode`, `config`, `level_cache`, `reopen`, `observations`).

        Raises:
            ValueError: An option is not allowed.
        """
        return DMLabEnv(task, evaluation=evaluation, **self._options(spec, frames, words, options))

    def make_vec(
        self,
        tasks: Sequence[str],
        spec: EnvSpec,
        evaluation: bool = False,
        frames: bool = True,
        words: bool = False,
        **options: Any,
    ) -> VectorEnv[Any, Any, Any]:
        """Make a batch: litelab's native one, or on the real engine one process per environment.

        Args:
            tasks, spec, evaluation, frames, words: As for `Domain.make_vec`.
            **options: Further options of `make_vector` (`threads`, `copy`, `context`, `autoreset_mode`) and `DMLabEnv`.

        Raises:
            ValueError: An option is not allowed.
        """
        given = {"autoreset_mode": AutoresetMode.DISABLED} | self._options(spec, frames, words, options)
        return make_vector(len(tasks), list(tasks), evaluation=evaluation, **given)

    def reference(self, task: str, spec: EnvSpec, name: str = "expert") -> Reference | None:
        """Find a reference return measured on the record's engine: "expert", or on deepmind_lab also "human"."""
        return known_reference(task, spec.engine, name)

    def shows_last(self, spec: EnvSpec) -> bool:
        """Whether an episode's final observation is new: True on litelab; the real engine repeats the one before."""
        return spec.engine == "litelab"

    def _options(self, spec: EnvSpec, frames: bool, words: bool, options: dict[str, Any]) -> dict[str, Any]:
        """Turn a record into options of `DMLabEnv`."""
        spec = self.resolve(spec)
        names = (*([FRAME] if frames else []), *([WORDS] if words else [])) or (_BLIND,)
        given = {name: getattr(spec, name) for name in ("engine", "action_set", "frame_skip", "width", "height", "hud")}
        if spec.engine == "litelab":
            given["textures"] = spec.textures
        if twice := sorted((set(given) | {"textures"}) & set(options)):
            raise ValueError(f"{twice[0]} is a field of the record: set it there, not as an option.")
        return {"observations": names, **options, **given}


DMLAB = DMLab()
