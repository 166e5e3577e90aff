"""`Worlds`: a batch of litelab worlds that are begun, played and drawn on all cores, and observed as arrays.

Legend: `N` worlds, `H W` size of an image.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from flexlam_rl.envs.checks import writable
from flexlam_rl.envs.litelab import observations as ob
from flexlam_rl.envs.litelab import state as s
from flexlam_rl.envs.litelab.batch import BEGIN, DRAW, JOB, PLAY, RESULT, direct_serve
from flexlam_rl.envs.litelab.cameras import camera_view
from flexlam_rl.envs.litelab.events import trial_events
from flexlam_rl.envs.litelab.look import load_look
from flexlam_rl.envs.litelab.pool import Pool, core_count
from flexlam_rl.envs.litelab.settings import Settings, fill_world

_CHUNKS_A_THREAD = 2  # more than one, so that a thread with fast worlds can take over work
_HOLD_OUT_BIT = 1 << 31  # episode seeds have 31 bits, so this bit separates the held-out stream

# the compiled call per look, shared by all worlds, because finding it is slow when thousands of worlds are copied
_calls: dict[str, Callable[..., None]] = {}


def world_seed(seed: int, mixer_seed: int, hold_out: bool) -> int:
    """Make the 64-bit seed of a world from 31 bits of episode seed, the hold-out bit and 32 bits of mixer seed."""
    return (mixer_seed << 32) | (_HOLD_OUT_BIT if hold_out else 0) | (seed & (_HOLD_OUT_BIT - 1))


class Worlds:
    """`N` worlds with the same observations and look.

    Args:
        given: Settings of each world; image sizes, overlay, stream of seeds and look are those of the first.
        names: Names of observations.
        threads: Number of threads; None for one per core.

    Attributes:
        worlds: The world records, (N,).
        players: Number of players in each world's level, (N,).
        has_events: Whether any level has events.
        results: Results of the last `do`, (N,) records of `batch.RESULT`.
    """

    def __init__(self, given: Sequence[Settings], names: Sequence[str], threads: int | None = None) -> None:
        n = len(given)
        self.names = tuple(names)
        self.settings = list(given)
        self.worlds = np.zeros(n, s.WORLD)
        for world, one in zip(self.worlds, self.settings, strict=True):
            fill_world(world, one)
        first = self.settings[0]
        self.players = self.worlds["bot_count"].astype(int) + 1
        self.hud = ob.HUD_LEVELS[first.hud]
        self.threads = max(1, min(threads or core_count(), n))
        self.pool = Pool(self.threads)
        self._size = (first.height, first.width)
        self.needs_rgb, self._keeps_depth = ob.needs(names)
        count = 1 if self.threads == 1 else min(n, self.threads * _CHUNKS_A_THREAD)
        edges = np.linspace(0, n, count + 1).astype(int).tolist()
        self._chunks = list(pairwise(edges))
        self.depth = np.empty((n if self._keeps_depth else count, *self._size), np.float32)
        with_events = np.flatnonzero(self.worlds["family"] == s.PSYCHLAB)
        self._events: list[int] = with_events.tolist()
        self.has_events = bool(self._events)
        self._trials = [0] * n
        self._texts: dict[str, list[str]] = {name: [""] * n for name in names if name in ob.TEXTS}
        self._jobs = np.zeros(n, JOB)
        self.results = np.zeros(n, RESULT)
        self._unseen = np.zeros((n, 0, 0, 3), np.uint8)
        self._link()

    def _link(self) -> None:
        """Find the look and the compiled call, which all worlds of the process share."""
        textures = self.settings[0].textures
        self.look = load_look(textures)
        if textures not in _calls:
            _calls[textures] = direct_serve(
                worlds=self.worlds,
                jobs=self._jobs,
                results=self.results,
                low=0,
                high=0,
                frames=1,
                look=self.look,
                rgb=self._unseen,
                depth=self.depth,
                hud=self.hud,
            )
        self.call = _calls[textures]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("look", "call")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["worlds"].dtype != s.WORLD:
            raise ValueError("This litelab environment was pickled by another version of flexlam_rl: make a new one.")
        self.__dict__.update(writable(state))
        self._link()

    def new_picture(self) -> np.ndarray:
        """Allocate an uninitialized (N, H, W, 3) uint8 array for pictures."""
        return np.empty((len(self.worlds), *self._size, 3), np.uint8)

    def do(self, jobs: np.ndarray, frames: int, rgb: np.ndarray | None, begins: bool = False) -> None:
        """Do each world's job (see `batch.direct_serve`).

        Args:
            jobs: (N,) records of `batch.JOB`.
            frames: Number of frames to play.
            rgb: (N, H, W, 3) uint8 to draw into; it must be given if a job draws.
            begins: Whether any job begins an episode.
        """
        picture = self._unseen if rgb is None else rgb
        calls = []
        for c, (low, high) in enumerate(self._chunks):
            scratch = self.depth if self._keeps_depth else self.depth[c : c + 1]
            calls.append(
                partial(
                    self.call,
                    begins,
                    self.worlds,
                    jobs,
                    self.results,
                    low,
                    high,
                    frames,
                    self.look,
                    picture,
                    scratch,
                    self.hud,
                )
            )
        self.pool.run(calls)
        if self._texts:
            changed = ((jobs["what"] & BEGIN) != 0) | (self.results["restarts"] > 0)
            self._read_texts(np.flatnonzero(changed))

    def play(self, actions: np.ndarray, skip: np.ndarray | None, frames: int, rgb: np.ndarray | None) -> None:
        """Play `actions` (N, 7) in all worlds, except where `skip` (N,) is True, and draw into `rgb` if it is given."""
        jobs = self._jobs
        jobs["what"] = PLAY if rgb is None else PLAY | DRAW
        if skip is not None:
            jobs["what"][skip] = 0
        jobs["action"] = actions
        self.do(jobs, frames, rgb)

    def begin(self, which: np.ndarray, episode_seeds: Sequence[int], rgb: np.ndarray | None) -> None:
        """Begin episodes with seeds in [0, 2**31) in the worlds `which`, and draw them into `rgb` if it is given.

        Raises:
            ValueError: The given start position is inside a wall.
        """
        given = self.settings[0]
        jobs = self._jobs
        jobs["what"] = 0
        jobs["what"][which] = BEGIN if rgb is None else BEGIN | DRAW
        jobs["seed"][which] = [world_seed(seed, given.mixer_seed, given.hold_out) for seed in episode_seeds]
        for i in which.tolist():
            self._trials[i] = 0
        self.do(jobs, 0, rgb, begins=True)
        if self.worlds["start_blocked"].any():
            i = int(np.argmax(self.worlds["start_blocked"]))
            x, y, z = (float(v) for v in self.worlds[i]["start_pos"])
            self.worlds["running"][i] = 0
            raise ValueError(
                f"startPosition is {x:g} {y:g} {z:g}, which is inside a wall of this map: expected a free place."
            )

    def begin_raw(self, seed: int) -> None:
        """Begin an episode in world 0 with a 64-bit world seed, without drawing it."""
        self._jobs["what"] = 0
        self._jobs["what"][0] = BEGIN
        self._jobs["seed"][0] = seed
        self.do(self._jobs, 0, None, begins=True)

    def draw(self, rgb: np.ndarray) -> None:
        """Draw all worlds into `rgb` (N, H, W, 3)."""
        self._jobs["what"] = DRAW
        self.do(self._jobs, 0, rgb)

    def _read_texts(self, which: np.ndarray) -> None:
        for name, texts in self._texts.items():
            for i in which.tolist():
                texts[i] = ob.text(name, self.worlds[i], self.settings[i].player_name)

    def observe(self, rgb: np.ndarray | None) -> Any:
        """Make the batch's observations: bare for one name, else a dictionary. Texts are tuples of strings.

        Args:
            rgb: (N, H, W, 3) uint8, the drawn pictures; None if no observation needs them.
        """
        if len(self.names) == 1:
            return self._one(self.names[0], rgb)
        return {name: self._one(name, rgb) for name in self.names}

    def observe_one(self) -> dict[str, Any]:
        """Make the observations of world 0 by name, drawing a picture if they need one."""
        rgb = None
        if self.needs_rgb:
            rgb = self.new_picture()
            self.draw(rgb)
        return {name: self._one(name, rgb)[0] for name in self.names}

    def _one(self, name: str, rgb: np.ndarray | None) -> Any:
        if name in ob.IMAGES:
            assert rgb is not None
            channels, last = ob.IMAGES[name]
            if channels == "RGB" and last and len(self.names) == 1:
                return rgb
            return ob.arrange(channels, last, rgb, self.depth)
        if name in ob.NUMBERS:
            return ob.NUMBERS[name](self.worlds)
        if name in ob.PLAYERS:
            return ob.PLAYERS[name](self.worlds["players"][:, : self.players[0]])
        if name in ob.TEXTS:
            return tuple(self._texts[name])
        view, last = ob.CAMERAS[name]
        pictures = np.stack([self.camera(i, view) for i in range(len(self.worlds))])
        return pictures if last else np.ascontiguousarray(np.moveaxis(pictures, -1, 1))

    def camera(self, i: int, view: str) -> np.ndarray:
        """Draw a DEBUG.CAMERA view of world `i`, (alt height, alt width, 3) uint8."""
        return camera_view(self, i, view)

    def events(self) -> list[tuple[int, tuple[Any, ...]]]:
        """List (world, events) for worlds that have had events since the last call."""
        found = []
        for i in self._events:
            events, self._trials[i] = trial_events(self.worlds[i], self._trials[i])
            if events:
                found.append((i, tuple(events)))
        return found

    def picture(self, i: int, width: int, height: int, hud: int | None = None) -> np.ndarray:
        """Draw the view of world `i` in another size, (height, width, 3) uint8.

        Args:
            i: Number of the world.
            width, height: Size in pixels.
            hud: As for `render.draw`; None for the batch's.
        """
        rgb = np.empty((1, height, width, 3), np.uint8)
        job = np.zeros(1, JOB)
        job["what"] = DRAW
        depth = np.empty((1, height, width), np.float32)
        shown = self.hud if hud is None else hud
        self.call(False, self.worlds[i : i + 1], job, np.zeros(1, RESULT), 0, 1, 0, self.look, rgb, depth, shown)
        return rgb[0]
