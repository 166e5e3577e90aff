"""One litelab world behind the small interface that `DMLabEnv` uses for either engine."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flexlam_rl.envs.litelab import batch, settings
from flexlam_rl.envs.litelab import observations as ob
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.events import trial_events
from flexlam_rl.envs.litelab.look import load_look
from flexlam_rl.envs.litelab.render import draw

HOLD_OUT_BIT = 1 << 31  # episode seeds have 31 bits, so this bit separates the held-out stream


def world_seed(seed: int, mixer_seed: int, hold_out: bool) -> int:
    """The 64-bit seed of a world: 31 bits of episode seed, the hold-out bit and 32 bits of mixer seed never overlap."""
    return (mixer_seed << 32) | (HOLD_OUT_BIT if hold_out else 0) | (seed & (HOLD_OUT_BIT - 1))


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
        self.settings = settings.parse(level, config, runfiles="litelab")
        self.names = tuple(names)
        self.worlds = np.zeros(1, s.WORLD)
        settings.fill_world(self.worlds[0], self.settings)
        self.players = int(self.worlds[0]["bot_count"]) + 1
        self.hud = ob.HUD_LEVELS[self.settings.hud]
        self._look = load_look(textures)
        self._shape = (self.settings.height, self.settings.width, 3)
        self._depth = np.empty(self._shape[:2], np.float32)
        self._needs_rgb, _ = ob.needs(names)
        self._only_rgb = self.names in (("RGB_INTERLEAVED",), ("RGB_INTERLACED",))
        self.has_events = self.settings.level.family == s.PSYCHLAB
        self._trials = 0

    def reset(self, seed: int) -> Any:
        """Begin the episode of a seed in [0, 2**31); returns the first observation (the bare one if there is one name)."""
        w = world_seed(seed, self.settings.mixer_seed, self.settings.hold_out)
        self._trials = 0
        if self._only_rgb:
            rgb = np.empty(self._shape, np.uint8)
            batch.begin_and_draw(self.worlds, 0, np.uint64(w), self._look, rgb, self._depth, self.hud)
            return rgb
        batch.begin(self.worlds, 0, np.uint64(w))
        return self.observe()

    def step(self, action: np.ndarray, frames: int) -> tuple[Any, float, int, int, int]:
        """Play `frames` frames of a native action: (observation, reward, end, map restarts, frames played); see `batch.play`."""
        if self._only_rgb:
            rgb = np.empty(self._shape, np.uint8)
            reward, end, restarts, played = batch.play_and_draw(self.worlds, 0, action, frames, self._look, rgb, self._depth, self.hud)
            return rgb, reward, end, restarts, played
        reward, end, restarts, played = batch.play(self.worlds, 0, action, frames)
        return self.observe(), reward, end, restarts, played

    def observe(self) -> Any:
        """The current observation: a dictionary, or the bare one if there is one name."""
        seen = self.observations()
        return seen[self.names[0]] if len(self.names) == 1 else seen

    def observations(self) -> dict[str, Any]:
        """The current observations by name; draws only what they need."""
        rgb = None
        if self._needs_rgb:
            rgb = np.empty((1, *self._shape), np.uint8)
            draw(self.worlds, 0, self._look, rgb[0], self._depth, self.hud)
        return {name: self._one(name, rgb) for name in self.names}

    def _one(self, name: str, rgb: np.ndarray | None) -> Any:
        if name in ob.IMAGES:
            assert rgb is not None
            return ob.arrange(*ob.IMAGES[name], rgb, self._depth[None])[0]
        if name in ob.NUMBERS:
            return ob.NUMBERS[name](self.worlds)[0]
        if name in ob.PLAYERS:
            return ob.PLAYERS[name](self.worlds["players"][:, : self.players])[0]
        if name in ob.CAMERAS:
            view, last = ob.CAMERAS[name]
            picture = self.camera(view)
            return picture if last else np.ascontiguousarray(np.moveaxis(picture, -1, 0))
        return ob.text(name, self.worlds[0], self.settings.player_name)

    def camera(self, view: str) -> np.ndarray:
        """A DEBUG.CAMERA view, (alt height, alt width, 3) uint8."""
        from flexlam_rl.envs.litelab.cameras import camera_view

        return camera_view(self.worlds, 0, view, self.settings, self._look)

    def picture(self, width: int, height: int) -> np.ndarray:
        """The player's view at another size, (height, width, 3) uint8."""
        rgb = np.empty((height, width, 3), np.uint8)
        draw(self.worlds, 0, self._look, rgb, np.empty((height, width), np.float32), self.hud)
        return rgb

    def events(self) -> list[tuple[str, list[Any]]]:
        """Events since the last call or reset (psychlab's trials; other levels have none)."""
        if not self.has_events:
            return []
        events, self._trials = trial_events(self.worlds[0], self._trials)
        return events

    def close(self) -> bool:
        """Nothing to release."""
        return True
