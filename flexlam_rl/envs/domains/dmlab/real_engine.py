"""The real DeepMind Lab behind the interface that `DMLabEnv` uses.

The engine is loaded at the first reset, so that an environment can be made in one process and played in another. A
process holds at most one engine, because DeepMind Lab's is not re-entrant; further ones are opened in processes of
their own. The engine keeps state between episodes, so a seed gives the same episode in a fresh engine only. It is
therefore closed and reopened at every reset, unless the option `reopen` is False.
"""

import atexit
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.envs.domains.dmlab import scratch
from flexlam_rl.envs.domains.dmlab.engine_process import EngineProcess
from flexlam_rl.envs.domains.dmlab.level_cache import LevelCache
from flexlam_rl.envs.domains.dmlab.levels import LEVELS
from flexlam_rl.envs.domains.dmlab.options import Options
from flexlam_rl.envs.domains.dmlab.quiet import quiet
from flexlam_rl.envs.domains.dmlab.real_module import load_module
from flexlam_rl.envs.litelab.ends import RUNNING, TERMINATED, TRUNCATED

_MAP_FRAME, _REMAINING, _PICTURE = "MAP_FRAME_NUMBER", "FRAMES_REMAINING_AT_60", "RGB_INTERLEAVED"

_owner: tuple[int, "weakref.ref[RealEngine]"] | None = None  # process and engine that hold the one instance
atexit.register(scratch.remove_all)


def _holder() -> "RealEngine | None":
    """The engine that this process holds, or None; an engine that was garbage-collected has closed itself."""
    return _owner[1]() if _owner is not None and _owner[0] == os.getpid() else None


class RealEngine:
    """One level of the real engine.

    Args:
        options: Checked options of the environment.

    Raises:
        EngineMissing: The module `deepmind_lab` cannot be imported.
        ValueError: The cache folder cannot be written to.
    """

    name = "deepmind_lab"
    has_events = True

    def __init__(self, options: Options) -> None:
        self._module = load_module()
        self._options = options
        known = LEVELS.get(options.level)
        self.players = known.players if known is not None else 1
        self._terminates = known is None or known.terminates
        self._cache = LevelCache(options.level_cache)
        self._names = options.observations
        extra = [name for name in (_MAP_FRAME, _REMAINING, _PICTURE) if name not in self._names]
        if options.render_mode is None and _PICTURE in extra:
            extra.remove(_PICTURE)  # asking for a picture would draw it at every step
        self._asked = [*self._names, *extra]
        self._lab: Any = None
        self._folder: Path | None = None
        self._elsewhere: EngineProcess | None = None
        self._seen: dict[str, Any] = {}

    def prepare(self, action: Sequence[int]) -> np.ndarray:
        """Convert a native action to the (7,) intc array that the engine takes."""
        return np.array(action, np.intc)

    def _open(self) -> None:
        global _owner
        module: Any = self._module
        if _holder() not in (None, self):
            module = self._elsewhere = self._elsewhere or EngineProcess()
        else:
            _owner = (os.getpid(), weakref.ref(self))
        try:
            self._folder = scratch.make()
            with quiet():
                self._lab = module.Lab(
                    self._options.path,
                    list(self._asked),
                    config=dict(self._options.config),
                    renderer="software",
                    level_cache=self._cache,
                    temp_folder=str(self._folder),
                )
        except BaseException:
            self._release()
            raise

    def reset(self, seed: int) -> Any:
        """Begin the episode of a seed in [0, 2**31) and return its first observation."""
        if self._lab is not None and self._options.reopen:
            self._release()
        if self._lab is None:
            self._open()
        with quiet():
            self._lab.reset(seed=seed)
            self._seen = self._lab.observations()
        return self._observation()

    def _count(self, name: str) -> int:
        """Read a counter from the observations; it is rounded, because the engine gives 5259.999999 for 5260."""
        return round(float(self._seen[name][0]))

    def step(self, action: np.ndarray, frames: int) -> tuple[Any, float, int, int, int]:
        """Play `frames` frames with a prepared action.

        After the end the engine has no observation, so the previous one is repeated. The frames that remained before
        the step tell whether the level's rules ended the episode or the time was up.

        Returns:
            (observation, reward, end, map restarts, frames played), as `Engine.step` describes.
        """
        map_frame, remaining = self._count(_MAP_FRAME), self._count(_REMAINING)
        with quiet():
            reward = float(self._lab.step(action, num_steps=frames))
            running = self._lab.is_running()
            if running:
                self._seen = self._lab.observations()
        if running:
            played = remaining - self._count(_REMAINING)
            return self._observation(), reward, RUNNING, int(self._count(_MAP_FRAME) < map_frame + frames), played
        early = self._terminates and remaining > frames
        return self._observation(), reward, TERMINATED if early else TRUNCATED, 0, min(frames, remaining)

    def _observation(self) -> Any:
        seen = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in self._seen.items()}
        return seen[self._names[0]] if len(self._names) == 1 else {name: seen[name] for name in self._names}

    def picture(self, width: int, height: int) -> np.ndarray:
        """The current view, (height, width, 3) uint8, resized without smoothing because the engine draws at one size
        only.
        """
        small = self._seen[_PICTURE]
        rows = np.arange(height) * small.shape[0] // height
        columns = np.arange(width) * small.shape[1] // width
        return np.ascontiguousarray(small[rows][:, columns])

    def events(self) -> list[tuple[str, list[Any]]]:
        """Events of the last step."""
        return list(self._lab.events())

    def close(self) -> None:
        """Close the engine, so that the process can hold another one."""
        self._release()
        if self._elsewhere is not None:
            self._elsewhere.stop()
            self._elsewhere = None

    def _release(self) -> None:
        global _owner
        lab, self._lab = self._lab, None
        try:
            if lab is not None:
                with quiet():
                    lab.close()
        finally:
            if self._folder is not None:
                scratch.remove(self._folder)
                self._folder = None
            if _holder() is self:
                _owner = None
