"""`Lab`: a drop-in replacement for `deepmind_lab.Lab` with one litelab world.

Legal and illegal calls give the recorded answers of the real one (tests/parity/lab-api.json). The only exceptions are
calls after `close` that crash the real engine's process, `reset` among them: they raise errors here.
"""

import hashlib
import os
import tempfile
from operator import index
from typing import Any

import numpy as np

from flexlam_rl.envs.checks import writable
from flexlam_rl.envs.litelab import observations as ob
from flexlam_rl.envs.litelab import settings
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.batch import JOB, PLAY
from flexlam_rl.envs.litelab.properties import Properties
from flexlam_rl.envs.litelab.worlds import Worlds
from flexlam_rl.envs.shared import copy_but

_VERSION = "1.0"
_ACTIONS = (
    ("LOOK_LEFT_RIGHT_PIXELS_PER_FRAME", -512, 512),
    ("LOOK_DOWN_UP_PIXELS_PER_FRAME", -512, 512),
    ("STRAFE_LEFT_RIGHT", -1, 1),
    ("MOVE_BACK_FORWARD", -1, 1),
    ("FIRE", 0, 1),
    ("JUMP", 0, 1),
    ("CROUCH", 0, 1),
)
_LOW = np.array([low for _, low, _ in _ACTIONS], np.intc)
_HIGH = np.array([high for _, _, high in _ACTIONS], np.intc)
_GENERATED = (s.EXPLORE, s.LASERTAG, s.LANGUAGE)  # families whose maps the real engine compiles and caches

_UNINITIALISED, _RUNNING, _ENDED, _CLOSED = range(4)
_runfiles = os.path.dirname(os.path.abspath(__file__))


def version() -> str:
    """Version of the module's interface."""
    return _VERSION


def runfiles_path() -> str:
    """The folder that error messages name; litelab reads no files from it."""
    return _runfiles


def set_runfiles_path(path: str) -> bool:
    """Set that folder; returns True."""
    global _runfiles
    if not isinstance(path, str):
        raise TypeError(f"argument 1 must be str, not {type(path).__name__}")
    _runfiles = path
    return True


def _type_error(position: int, expected: str, value: object) -> TypeError:
    return TypeError(f"argument {position} must be {expected}, not {type(value).__name__}")


class Lab:
    """One litelab world with DeepMind Lab's Python interface.

    Args:
        level: `contributed/dmlab30/<level>`.
        observations: List of names from `observation_spec()`.
        config: Text settings by name: width, height, mixerSeed, allowHoldOutLevels, minimalUI, reducedUI,
            episodeLengthSeconds, overrideEntityLayer, the level's parameters, ... (see `settings`).
        renderer: "software" or "hardware"; both select litelab's renderer.
        level_cache: An object with `fetch(key, path) -> bool` and `write(key, path)`, which are called once per episode
            with a small text file that contains the maze.
        temp_folder: Folder of that file.

    Raises:
        TypeError: An argument or a setting has a wrong type.
        RuntimeError: A setting is refused, or the level does not exist.
        ValueError: An observation is unknown, or the text of a maze is not playable.
    """

    def __init__(
        self,
        level: str,
        observations: list[str],
        config: dict[str, str] = {},  # noqa: B006  the real signature; the default is only read
        renderer: str = "software",
        level_cache: Any = None,
        temp_folder: str | None = None,
    ) -> None:
        if not isinstance(level, str):
            raise _type_error(1, "str", level)
        if not isinstance(observations, list):
            raise _type_error(2, "list", observations)
        if not isinstance(config, dict):
            raise _type_error(3, "dict", config)
        if not isinstance(renderer, str):
            raise _type_error(4, "str", renderer)
        if renderer not in ("software", "hardware", ""):
            raise RuntimeError(f'Failed to set renderer must be "hardware" or "software" actual "{renderer}"!')
        given = settings.parse(level, config, _runfiles)
        for name in observations:
            if not isinstance(name, str):
                raise TypeError("bad argument type for built-in operation")
            if name not in ob.NAMES:
                raise ValueError(f"Unknown observation '{name}'.")
        self._batch = Worlds([given], observations, threads=1)
        self._given = given
        self._status = _UNINITIALISED
        self._steps = 0
        self._job = np.zeros(1, JOB)
        self._job["what"] = PLAY
        self._level_cache = level_cache
        self._temp_folder = temp_folder
        self._stream = np.random.Generator(np.random.PCG64(given.random_seed))
        self._properties = Properties(given, self._batch, self._maze_of)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(writable(state))

    def __deepcopy__(self, memo: dict[int, Any]) -> "Lab":
        return copy_but(self, memo, "_level_cache")  # copies share the cache, which may hold open files

    def reset(self, episode: int = -1, seed: int | None = None) -> bool:
        """Begin an episode; without a seed, the next one of this Lab's own stream. Returns True.

        Raises:
            ValueError: The seed is neither an int nor None.
            RuntimeError: The Lab is closed.
        """
        index(episode)
        if seed is not None and not isinstance(seed, int):
            raise ValueError(f"'seed' must be int or None, was '{type(seed).__name__}'.")
        if self._status == _CLOSED:
            raise RuntimeError("Environment in wrong status to reset.")
        if seed is None:
            seed = int(self._stream.integers(2**31))
        number = ((seed + 2**31) % 2**32) - 2**31  # wraps to a C int, as in the real one
        if number < 0:
            number += 2**31
        self._properties.apply()
        self._batch.begin(np.zeros(1, np.int64), [number], None)
        self._properties.began(int(self._batch.worlds[0]["seed"]))
        self._status = _RUNNING
        self._steps = 0
        if self._level_cache is not None and self._given.level.family in _GENERATED:
            self._offer_to_cache()
        return True

    def step(self, action: np.ndarray, num_steps: int = 1) -> float:
        """Play `num_steps` frames with a (7,) intc action and return the reward; values out of range are clipped.

        Raises:
            TypeError: The action is not a NumPy array.
            ValueError: The action has a wrong shape or dtype.
            RuntimeError: No episode is running.
        """
        if not isinstance(action, np.ndarray):
            raise TypeError(f"argument 1 must be numpy.ndarray, not {type(action).__name__}")
        frames = index(num_steps)
        if self._status != _RUNNING:
            raise RuntimeError("Environment in wrong status to advance.")
        if action.shape != (7,):
            raise ValueError("action must have shape (7)")
        if action.dtype != np.intc:
            raise ValueError("action must have dtype np.intc")
        self._job["action"][0] = np.clip(action, _LOW, _HIGH)
        batch = self._batch
        batch.do(self._job, frames, None)
        reward, end, _, _ = batch.results.item()
        self._steps += frames
        if end:
            self._status = _ENDED
        return float(reward)

    def observations(self) -> dict[str, Any]:
        """Read the chosen observations by name, as new arrays, or str for texts.

        Raises:
            RuntimeError: No episode is running, or it has ended.
        """
        if self._status != _RUNNING:
            raise RuntimeError("Environment in wrong status for call to observations()")
        return self._batch.observe_one()

    def events(self) -> list[tuple[str, list[Any]]]:
        """List the events of the last step, also after the end of an episode; only psychlab has any (its trials)."""
        if self._status not in (_RUNNING, _ENDED):
            raise RuntimeError("Environment in wrong status for call to events()")
        return [event for _, events in self._batch.events() for event in events]

    def is_running(self) -> bool:
        """Whether an episode is running."""
        return self._status == _RUNNING

    def num_steps(self) -> int:
        """Number of frames asked for since the last reset."""
        return self._steps

    def observation_spec(self) -> list[dict[str, Any]]:
        """List all observations: dictionaries with name, shape and dtype; a 0 in a shape means a dynamic size."""
        given = self._given
        return ob.observation_spec(given.width, given.height, given.alt_width, given.alt_height)

    def action_spec(self) -> list[dict[str, Any]]:
        """List the seven native actions: dictionaries with name, min and max."""
        return [{"min": low, "max": high, "name": name} for name, low, high in _ACTIONS]

    def read_property(self, key: str) -> str:
        """Read a property as text.

        Raises:
            KeyError: There is no such property.
            TypeError: The property cannot be read.
        """
        return self._properties.read(key)

    def write_property(self, key: str, value: str) -> None:
        """Set a property; a level parameter takes effect at the next reset.

        Raises:
            KeyError: There is no such property.
            TypeError: The property cannot be set, or not to this value.
        """
        self._properties.write(key, value)

    def properties(self, key: str = "") -> dict[str, int]:
        """List the properties under `key` by full name, each with a sum of READABLE 1, WRITABLE 2 and LISTABLE 4."""
        return self._properties.list(key)

    def close(self) -> bool:
        """Close the Lab; returns whether it was open."""
        was_open = self._status != _CLOSED
        self._status = _CLOSED
        return was_open

    def _maze_of(self, seed: int) -> tuple[str, str]:
        """Find entity and variations layer of the episode with a 64-bit seed; the running episode is not changed."""
        scratch = Worlds([self._given], [], threads=1)
        scratch.begin_raw(seed)
        world = scratch.worlds[0]
        return ob.maze_text(world, "letter"), ob.maze_text(world, "variation")

    def _offer_to_cache(self) -> None:
        """Use DeepMind Lab's level cache protocol with the maze's text in place of the compiled map."""
        world = self._batch.worlds[0]
        text = ob.maze_text(world, "letter") + "\n" + ob.maze_text(world, "variation")
        kind = "aas" if self._given.level.family == s.LASERTAG else "noaas"
        key = f"{self._given.level.name}_{kind}_{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}"
        with tempfile.TemporaryDirectory(dir=self._temp_folder) as folder:
            path = os.path.join(folder, key + ".pk3")
            if not self._level_cache.fetch(key, path):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                self._level_cache.write(key, path)
