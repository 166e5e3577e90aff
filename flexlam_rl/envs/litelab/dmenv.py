"""`dmenv.Lab`: a `dm_env.Environment` on litelab, with the interface of DeepMind Lab's own `dmenv_module`.

A step plays one frame, actions are dictionaries by name, and the last observation of an episode is its true last frame
(the real module asks its engine for one that does not exist).
"""

from operator import index
from typing import Any

import dm_env
import numpy as np
from dm_env import specs

from flexlam_rl.envs.errors import InvalidAction
from flexlam_rl.envs.litelab import lab as litelab

_LARGEST = 2**31 - 1


def set_runfiles_path(path: str) -> None:
    """Set the folder that error messages name."""
    litelab.set_runfiles_path(path)


def _whole(name: str, value: Any) -> int:
    try:
        number = None if isinstance(value, bool) else index(value)
    except TypeError:
        number = None
    if number is None or abs(number) > _LARGEST:
        raise InvalidAction(f"Action {name!r} must be an integer, got {value!r}.")
    return number


class Lab(dm_env.Environment):
    """A litelab level with dm_env's interface.

    Args:
        level: `contributed/dmlab30/<level>`.
        observation_names: List of names of `observation_spec()` with fixed shapes.
        config: Settings, as for `litelab.Lab`.

    Raises:
        NotImplementedError: An observation has a dynamic shape.
        TypeError, RuntimeError, ValueError: As for `litelab.Lab`.
    """

    def __init__(self, level: str, observation_names: list[str], config: dict[str, str]) -> None:
        self._lab = litelab.Lab(level, observation_names, config)
        self._needs_reset = True
        self._actions = self._lab.action_spec()
        self._names = [row["name"] for row in self._actions]
        self._spec: dict[str, specs.Array] = {}
        rows = {row["name"]: row for row in self._lab.observation_spec()}
        for name in observation_names:
            row = rows[name]
            if 0 in row["shape"]:
                raise NotImplementedError(
                    f"Dynamic shapes are not supported by dm_env; requested shape for observation {name} was "
                    f"{row['shape']}."
                )
            if row["dtype"] is str:
                self._spec[name] = specs.StringArray(shape=(), name=name)
            else:
                self._spec[name] = specs.Array(shape=row["shape"], dtype=row["dtype"], name=name)

    def _observation(self) -> dict[str, np.ndarray]:
        seen = self._lab._batch.observe_one()
        return {
            name: np.array(value, dtype=object) if isinstance(value, str) else value for name, value in seen.items()
        }

    def reset(self) -> dm_env.TimeStep:
        """Begin the next episode of the Lab's own stream of seeds."""
        self._lab.reset()
        self._needs_reset = False
        return dm_env.restart(self._observation())

    def step(self, action: dict[str, Any]) -> dm_env.TimeStep:
        """Play one frame; actions that `action` does not name are 0. After the last step, it begins an episode.

        Raises:
            InvalidAction: There is no action of that name, or its value is not an integer.
        """
        if self._needs_reset:
            return self.reset()
        native = np.zeros(len(self._names), np.intc)
        for name, value in action.items():
            if name not in self._names:
                raise InvalidAction(f"Unknown action {name!r}: expected names among {', '.join(self._names)}.")
            native[self._names.index(name)] = _whole(name, value)
        reward = self._lab.step(native)
        if self._lab.is_running():
            return dm_env.transition(reward=reward, observation=self._observation())
        self._needs_reset = True
        return dm_env.termination(reward=reward, observation=self._observation())

    def action_spec(self) -> dict[str, specs.BoundedArray]:
        """Specs of the actions by name: one bounded int32 scalar each."""
        return {
            row["name"]: specs.BoundedArray(
                shape=(), dtype=np.int32, name=row["name"], minimum=row["min"], maximum=row["max"]
            )
            for row in self._actions
        }

    def observation_spec(self) -> dict[str, specs.Array]:
        """Specs of the chosen observations by name."""
        return dict(self._spec)

    def close(self) -> None:
        """Close the Lab."""
        self._lab.close()
