"""Properties of a Lab: level parameters, mazes of any seed, and the engine's constants (reference A2).

`params.*` can be read and written; new values take effect at the next reset. `func.entityLayer.<seed>` and
`func.variationsLayer.<seed>` are the maze of the episode with that seed, which `params.generatedSeed` shows.
`engine.fps` is 60.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from flexlam_rl.envs.litelab import observations as ob
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.settings import Settings, fill_world
from flexlam_rl.envs.litelab.worlds import Worlds

READABLE, WRITABLE, LISTABLE = 1, 2, 4
READ_WRITABLE = READABLE | WRITABLE

_MAZE_NOW = {"currentEntityLayer": "letter", "currentVariationsLayer": "variation"}
_TOP = {"params": LISTABLE, "func": LISTABLE, "console": READABLE, "engine": LISTABLE}
_READ_ONLY = {"console": "", "engine.fps": "60"}
_FUNCTIONS = ("entityLayer", "variationsLayer")


class Properties:
    """The properties of one Lab.

    Args:
        given: Settings of the Lab, in which written parameters are stored.
        batch: World of the Lab, as a batch of one.
        maze_of: Function of a 64-bit seed that returns entity and variations layer of its episode.
    """

    def __init__(self, given: Settings, batch: Worlds, maze_of: Callable[[int], tuple[str, str]]) -> None:
        self._given = given
        self._batch = batch
        self._maze_of = maze_of
        self._changed = False
        self._seed = 0

    @property
    def _worlds(self) -> np.ndarray:
        return self._batch.worlds

    def began(self, seed: int) -> None:
        """Note that an episode with this 64-bit seed has begun."""
        self._seed = seed

    def apply(self) -> None:
        """Apply parameters that were written since the last reset to the world."""
        if self._changed:
            fill_world(self._worlds[0], self._given)
            self._changed = False

    def _params(self) -> dict[str, str]:
        values = dict(self._given.params)
        values["generatedSeed"] = str(self._seed)
        if self._worlds[0]["geometry"] == s.GRID:
            values |= {name: ob.maze_text(self._worlds[0], field) for name, field in _MAZE_NOW.items()}
        return values

    def read(self, key: str) -> str:
        """Read the value of a property.

        Raises:
            KeyError: There is no such property.
            TypeError: It cannot be read.
        """
        _check_text(1, key)
        if key in _READ_ONLY:
            return _READ_ONLY[key]
        group, _, rest = key.partition(".")
        if group == "params" and rest in self._params():
            return self._params()[rest]
        if group == "func":
            name, _, seed = rest.partition(".")
            if name in _FUNCTIONS and seed.isdecimal() and int(seed) < 2**64:
                return self._maze_of(int(seed))[_FUNCTIONS.index(name)]
        raise self._refusal(key, "readable")

    def write(self, key: str, value: str) -> None:
        """Set a parameter for the next reset.

        Raises:
            KeyError: There is no such property.
            TypeError: It cannot be written, or not with this value.
            ValueError: The value is the text of a maze that is not playable.
        """
        _check_text(1, key)
        _check_text(2, value)
        group, _, name = key.partition(".")
        params = self._given.params
        if group != "params" or name not in params:
            if group == "params" and name in self._params():
                return  # values that describe an episode are replaced by the next one's
            raise self._refusal(key, "writable")
        before = params[name]
        params[name] = value
        try:
            fill_world(self._worlds.copy()[0], self._given)
        except RuntimeError:
            params[name] = before
            raise TypeError(f"Type error! Cannot assign '{value}' to '{key}'.") from None
        except ValueError:
            params[name] = before
            raise
        self._changed = True

    def list(self, key: str) -> dict[str, int]:
        """List the properties one level below `key` by full name, each with its permissions.

        Raises:
            KeyError: There is no such property.
            TypeError: It has no properties below it.
        """
        _check_text(1, key)
        if key == "":
            return dict(_TOP)
        if key == "engine":
            return {"engine.fps": READABLE}
        if key == "func":
            return {f"func.{name}": READABLE for name in _FUNCTIONS}
        head = "" if key == "params" else key.removeprefix("params.") + "."
        found: dict[str, int] = {}
        if key == "params" or key.startswith("params."):
            for name in self._params():
                if name.startswith(head):
                    first, dot, _ = name[len(head) :].partition(".")
                    found[f"{key}.{first}"] = LISTABLE if dot else READ_WRITABLE
        if not found:
            raise self._refusal(key, "listable")
        return found

    def _refusal(self, key: str, able: str) -> Exception:
        names: dict[str, Any] = {**_TOP, **_READ_ONLY}
        names |= {f"func.{name}": 0 for name in _FUNCTIONS}
        for name in self._params():
            parts = name.split(".")
            names |= {"params." + ".".join(parts[: k + 1]): 0 for k in range(len(parts))}
        return TypeError(f"'{key}' not {able}.") if key in names else KeyError(f"'{key}' not found.")


def _check_text(position: int, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"argument {position} must be str, not {type(value).__name__}")
