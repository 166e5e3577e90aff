"""A batch of litelab worlds: played, begun and drawn on all cores, observed as arrays over the batch.

Legend: `N` worlds, `H W` image.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from flexlam_rl.envs.litelab import batch, settings
from flexlam_rl.envs.litelab import observations as ob
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.cameras import camera_view
from flexlam_rl.envs.litelab.events import trial_events
from flexlam_rl.envs.litelab.look import load_look
from flexlam_rl.envs.litelab.pool import Pool, core_count
from flexlam_rl.envs.litelab.render import draw

_CHUNKS_A_THREAD = 2  # so that a thread with quick worlds can take over work
_HOLD_OUT_BIT = 1 << 31  # episode seeds have 31 bits, so this bit separates the held-out stream


def world_seed(seed: int, mixer_seed: int, hold_out: bool) -> int:
    """The 64-bit seed of a world: 31 bits of episode seed, the hold-out bit and 32 bits of mixer seed never overlap."""
    return (mixer_seed << 32) | (_HOLD_OUT_BIT if hold_out else 0) | (seed & (_HOLD_OUT_BIT - 1))


class Worlds:
    """`N` worlds with the same observations and look.

    Args:
        levels: Path of every world's level.
        names: Observations.
        config: DeepMind Lab's config strings, for all worlds.
        textures: "procedural" or "labmaze".
        threads: Threads to use, None for one a core.

    Attributes:
        worlds: The world records, (N,).
        players: Players of every world's level, (N,).
        has_events: Whether any level has events.
        rewards, ends, map_resets, frames: Results of the last `play`, (N,).
    """

    def __init__(
        self, levels: Sequence[str], names: Sequence[str], config: Mapping[str, str], textures: str, threads: int | None = None
    ) -> None:
        n = len(levels)
        self.names = tuple(names)
        self.settings = [settings.parse(level, config, runfiles="litelab") for level in levels]
        self.worlds = np.zeros(n, s.WORLD)
        for world, given in zip(self.worlds, self.settings, strict=True):
            settings.fill_world(world, given)
        first = self.settings[0]
        self.players = self.worlds["bot_count"].astype(int) + 1
        self.hud = ob.HUD_LEVELS[first.hud]
        self.threads = max(1, min(threads or core_count(), n))
        self.pool = Pool(self.threads)
        self.look = load_look(textures)
        self._size = (first.height, first.width)
        self.needs_rgb, needs_depth = ob.needs(names)
        count = 1 if self.threads == 1 else min(n, self.threads * _CHUNKS_A_THREAD)
        edges = np.linspace(0, n, count + 1).astype(int).tolist()
        self._chunks = list(zip(edges[:-1], edges[1:], strict=True))
        self._depth = np.empty((n if needs_depth else count, *self._size), np.float32)
        self._keeps_depth = needs_depth
        self._events = np.flatnonzero(self.worlds["family"] == s.PSYCHLAB).tolist()
        self.has_events = bool(self._events)
        self._trials = [0] * n
        self._texts: dict[str, list[str]] = {name: [""] * n for name in names if name in ob.TEXTS}
        self.skip = np.zeros(n, np.uint8)
        self.rewards = np.zeros(n)
        self.ends = np.zeros(n, np.uint8)
        self.map_resets = np.zeros(n, np.bool_)
        self.frames = np.zeros(n, np.int64)
        self._rgb = self.new_picture() if self.needs_rgb else np.zeros((1, 1, 1, 3), np.uint8)
        self._play = batch.direct(batch.play_range, *self._play_arguments(0, np.zeros((n, 7), np.intc), 1, self._rgb))
        self._begin = batch.direct(batch.begin_list, *self._begin_arguments(0, 1, np.zeros(1, np.int64), np.zeros(1, np.uint64), self._rgb))

    def new_picture(self) -> np.ndarray:
        """An empty (N, H, W, 3) uint8 array."""
        return np.empty((len(self.worlds), *self._size, 3), np.uint8)

    def _play_arguments(self, chunk: int, actions: np.ndarray, frames: int, rgb: np.ndarray) -> tuple[Any, ...]:
        low, high = self._chunks[chunk]
        results = (self.skip, self.rewards, self.ends, self.map_resets, self.frames)
        scratch = self._depth if self._keeps_depth else self._depth[chunk : chunk + 1]
        return (self.worlds, low, high, actions, frames, *results, self.needs_rgb, self.look, rgb, scratch, self.hud)

    def _begin_arguments(self, low: int, high: int, which: np.ndarray, seeds: np.ndarray, rgb: np.ndarray, chunk: int = 0) -> tuple[Any, ...]:
        scratch = self._depth if self._keeps_depth else self._depth[chunk : chunk + 1]
        return (self.worlds, which, seeds, low, high, self.needs_rgb, self.look, rgb, scratch, self.hud)

    def play(self, actions: np.ndarray, frames: int, rgb: np.ndarray | None) -> None:
        """Play every world that `skip` does not name with `actions` (N, 7) intc, and draw into `rgb`; results stand in the attributes."""
        picture = self._rgb if rgb is None else rgb
        self.rewards = np.empty(len(self.worlds))
        self.map_resets = np.empty(len(self.worlds), np.bool_)
        self.frames = np.empty(len(self.worlds), np.int64)
        play = self._play
        self.pool.run([partial(play, *self._play_arguments(c, actions, frames, picture)) for c in range(len(self._chunks))])
        if self._texts:
            self._read_texts(np.flatnonzero(self.map_resets))

    def begin(self, which: np.ndarray, episode_seeds: Sequence[int], rgb: np.ndarray | None) -> None:
        """Begin episodes in worlds `which` with seeds in [0, 2**31), and draw them into `rgb`."""
        picture = self._rgb if rgb is None else rgb
        given = self.settings[0]
        seeds = np.array([world_seed(seed, given.mixer_seed, given.hold_out) for seed in episode_seeds], np.uint64)
        which = np.asarray(which, np.int64)
        parts = min(len(which), len(self._chunks))
        edges = np.linspace(0, len(which), parts + 1).astype(int).tolist()
        begin = self._begin
        self.pool.run([partial(begin, *self._begin_arguments(edges[c], edges[c + 1], which, seeds, picture, c)) for c in range(parts)])
        for i in which.tolist():
            self._trials[i] = 0
        if self._texts:
            self._read_texts(which)

    def _read_texts(self, which: np.ndarray) -> None:
        for name, texts in self._texts.items():
            for i in which.tolist():
                texts[i] = ob.text(name, self.worlds[i], self.settings[i].player_name)

    def draw(self, rgb: np.ndarray) -> None:
        """Draw all worlds into `rgb` (N, H, W, 3)."""
        for i in range(len(self.worlds)):
            draw(self.worlds, i, self.look, rgb[i], self._depth[i % len(self._depth)], self.hud)

    def observe(self, rgb: np.ndarray | None) -> Any:
        """The batch's observations, drawn images given: one batch for one name, else a dictionary of them. Texts are tuples."""
        if len(self.names) == 1:
            return self._one(self.names[0], rgb)
        return {name: self._one(name, rgb) for name in self.names}

    def _one(self, name: str, rgb: np.ndarray | None) -> Any:
        if name in ob.IMAGES:
            assert rgb is not None
            channels, last = ob.IMAGES[name]
            if channels == "RGB" and last and len(self.names) == 1:
                return rgb
            return ob.arrange(channels, last, rgb, self._depth)
        if name in ob.NUMBERS:
            return ob.NUMBERS[name](self.worlds)
        if name in ob.PLAYERS:
            return ob.PLAYERS[name](self.worlds["players"][:, : self.players[0]])
        if name in ob.TEXTS:
            return tuple(self._texts[name])
        view, last = ob.CAMERAS[name]
        pictures = np.stack([camera_view(self.worlds, i, view, self.settings[i], self.look) for i in range(len(self.worlds))])
        return pictures if last else np.ascontiguousarray(np.moveaxis(pictures, -1, 1))

    def events(self) -> list[tuple[int, tuple[Any, ...]]]:
        """Events since the last call, of the worlds that have any: (world, events)."""
        found = []
        for i in self._events:
            events, self._trials[i] = trial_events(self.worlds[i], self._trials[i])
            if events:
                found.append((i, tuple(events)))
        return found

    def picture(self, i: int, width: int, height: int) -> np.ndarray:
        """The view of world `i` at another size, (height, width, 3) uint8."""
        rgb = np.empty((height, width, 3), np.uint8)
        draw(self.worlds, i, self.look, rgb, np.empty((height, width), np.float32), self.hud)
        return rgb
