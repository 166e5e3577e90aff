"""One litelab world behind the small interface that `DMLabEnv` uses for either engine."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flexlam_rl.envs.litelab import batch
from flexlam_rl.envs.litelab.worlds import Worlds

_FIRST = np.zeros(1, np.int64)


class LitelabEngine:
    """A litelab world, its observations and its pictures.

    Args:
        level: Path of the level, `contributed/dmlab30/<level>`.
        names: Observations that `reset` and `step` return.
        config: DeepMind Lab's config strings.
        textures: "procedural" or "labmaze".
    """

    name = "litelab"

    def __init__(self, level: str, names: Sequence[str], config: Mapping[str, str], textures: str = "procedural") -> None:
        self.batch = Worlds([level], names, config, textures, threads=1)
        self.settings = self.batch.settings[0]
        self.worlds = self.batch.worlds
        self.players = int(self.batch.players[0])
        self.has_events = self.batch.has_events
        self._single = len(self.batch.names) == 1
        self._only_rgb = self.batch.names in (("RGB_INTERLEAVED",), ("RGB_INTERLACED",))
        self._shape = (self.settings.height, self.settings.width, 3)
        # the path that every training step takes skips numba's look at argument types
        self._tail = (self.batch.look, np.empty(self._shape, np.uint8), np.empty(self._shape[:2], np.float32), self.batch.hud)
        self._look, _, self._depth, self._hud = self._tail
        self._play = batch.direct(batch.play_and_draw, self.worlds, 0, np.zeros(7, np.intc), 1, *self._tail)

    def reset(self, seed: int) -> Any:
        """Begin the episode of a seed in [0, 2**31); returns the first observation (the bare one if there is one name)."""
        rgb = self.batch.new_picture() if self.batch.needs_rgb else None
        self.batch.begin(_FIRST, [seed], rgb)
        return self._unwrap(rgb)

    def step(self, action: np.ndarray, frames: int) -> tuple[Any, float, int, int, int]:
        """Play `frames` frames of a native action: (observation, reward, end, map restarts, frames played); see `batch.play`."""
        if self._only_rgb:
            rgb = np.empty(self._shape, np.uint8)
            return rgb, *self._play(self.worlds, 0, action, frames, self._look, rgb, self._depth, self._hud)
        played = self.batch
        pictures = played.new_picture() if played.needs_rgb else None
        played.play(action[None], frames, pictures)
        result = (float(played.rewards[0]), int(played.ends[0]), int(played.map_resets[0]), int(played.frames[0]))
        return self._unwrap(pictures), *result

    def _unwrap(self, rgb: np.ndarray | None) -> Any:
        seen = self.batch.observe(rgb)
        return seen[0] if self._single else {name: values[0] for name, values in seen.items()}

    def observe(self) -> Any:
        """The current observation, drawn anew if it has pictures."""
        rgb = None
        if self.batch.needs_rgb:
            rgb = self.batch.new_picture()
            self.batch.draw(rgb)
        return self._unwrap(rgb)

    def picture(self, width: int, height: int) -> np.ndarray:
        """The player's view at another size, (height, width, 3) uint8."""
        return self.batch.picture(0, width, height)

    def events(self) -> list[tuple[str, list[Any]]]:
        """Events since the last call or reset (psychlab's trials; other levels have none)."""
        return [event for _, events in self.batch.events() for event in events]

    def close(self) -> None:
        """Nothing to release."""
