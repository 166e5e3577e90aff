"""`LitelabEngine`: one litelab world with the interface that `DMLabEnv` uses for both engines."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flexlam_rl.envs.litelab.batch import DRAW, JOB, PLAY
from flexlam_rl.envs.litelab.settings import parse
from flexlam_rl.envs.litelab.worlds import Worlds

_FIRST = np.zeros(1, np.int64)


class LitelabEngine:
    """A litelab world, its observations and its pictures.

    Args:
        level: Path of the level, `contributed/dmlab30/<level>`.
        names: Observations that `reset` and `step` return.
        config: DeepMind Lab's config strings, including litelab's own.
    """

    name = "litelab"

    def __init__(self, level: str, names: Sequence[str], config: Mapping[str, str]) -> None:
        self.batch = Worlds([parse(level, config, runfiles="litelab")], names, threads=1)
        self.settings = self.batch.settings[0]
        self.players = int(self.batch.players[0])
        self.has_events = self.batch.has_events
        self._single = len(self.batch.names) == 1
        self._only_rgb = self.batch.names in (("RGB_INTERLEAVED",), ("RGB_INTERLACED",))
        self._shape = (1, self.settings.height, self.settings.width, 3)
        self._what = DRAW if self.batch.needs_rgb else 0

    @property
    def worlds(self) -> np.ndarray:
        """The world record, (1,)."""
        return self.batch.worlds

    def prepare(self, action: Sequence[int]) -> np.ndarray:
        """Convert a native action to the form that `step` takes."""
        job = np.zeros(1, JOB)
        job["what"] = PLAY | self._what
        job["action"] = action
        return job

    def reset(self, seed: int) -> Any:
        """Begin the episode of a seed in [0, 2**31) and return its first observation, bare if there is one name."""
        rgb = self.batch.new_picture() if self.batch.needs_rgb else None
        self.batch.begin(_FIRST, [seed], rgb)
        return self._unwrap(rgb)

    def step(self, action: np.ndarray, frames: int) -> tuple[Any, float, int, int, int]:
        """Play `frames` frames with a prepared action.

        Returns:
            (observation, reward, end, map restarts, frames played); `end` is 0 (running), 1 (terminated) or 2
            (truncated).
        """
        played = self.batch
        if self._only_rgb:
            rgb = np.empty(self._shape, np.uint8)
            parts = (played.look, rgb, played.depth, played.hud)
            played.call(False, played.worlds, action, played.results, 0, 1, frames, *parts)
            return rgb[0], *played.results.item()
        pictures = played.new_picture() if played.needs_rgb else None
        played.do(action, frames, pictures)
        return self._unwrap(pictures), *played.results.item()

    def _unwrap(self, rgb: np.ndarray | None) -> Any:
        seen = self.batch.observe(rgb)
        return seen[0] if self._single else {name: values[0] for name, values in seen.items()}

    def observe(self) -> Any:
        """Make the current observation, drawing its pictures."""
        rgb = None
        if self.batch.needs_rgb:
            rgb = self.batch.new_picture()
            self.batch.draw(rgb)
        return self._unwrap(rgb)

    def picture(self, width: int, height: int) -> np.ndarray:
        """Draw the player's view in another size, (height, width, 3) uint8."""
        return self.batch.picture(0, width, height)

    def events(self) -> list[tuple[str, list[Any]]]:
        """List events since the last call or reset; only psychlab has any (its trials)."""
        return [event for _, events in self.batch.events() for event in events]

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
