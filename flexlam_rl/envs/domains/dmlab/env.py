"""`DMLabEnv`: DeepMind Lab's levels as a Gymnasium environment, on litelab or on the real engine."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec as GymSpec

from flexlam_rl.envs.checks import reset_options
from flexlam_rl.envs.domains.dmlab.actions import action_set as find_action_set
from flexlam_rl.envs.domains.dmlab.engines import make_engine
from flexlam_rl.envs.domains.dmlab.levels import DEFAULT_LEVEL
from flexlam_rl.envs.domains.dmlab.native_actions import action_number, native_action
from flexlam_rl.envs.domains.dmlab.options import check_options, check_spec
from flexlam_rl.envs.domains.dmlab.spaces import observation_space
from flexlam_rl.envs.domains.dmlab.spec_attributes import SpecAttributes
from flexlam_rl.envs.errors import ClosedError, ResetNeeded
from flexlam_rl.envs.plain_spec import plain_spec
from flexlam_rl.envs.seeds import (
    EVALUATION_STREAM,
    SEED_LIMIT,
    SeededEnv,
    episode_seed,
    episode_stream,
    stream_seed,
)

__all__ = ["EVALUATION_STREAM", "SEED_LIMIT", "DMLabEnv", "episode_seed", "episode_stream", "native_action"]


class DMLabEnv(SpecAttributes, SeededEnv):
    """One DeepMind Lab level.

    Args:
        level: One of `flexlam_rl.envs.domains.dmlab.levels.LEVELS`, with or without `contributed/dmlab30/`, or on
            litelab "maze_quadrants"; the real engine also takes any other path that contains a slash.
        engine: "litelab", "deepmind_lab", or "auto": the real one where it can be imported, else litelab.
        action_set: "dreamer15", "impala9", "teco3" (`Discrete`) or "native7" (int32 `Box` of shape (7,)).
        frame_skip: 60 Hz frames that one step plays, all with the same action.
        width, height: Size of image observations in pixels, multiples of 4.
        observations: Names of DeepMind Lab's observations. One gives a bare observation, several a `Dict`.
        hud: "full", "reduced" (head icon and crosshair) or "none".
        textures: litelab's look, "procedural" or "labmaze" (the original wall, floor and sky textures, from that
            package).
        render_mode: None, "rgb_array" or "human".
        render_size: Width and height of rendered pictures.
        evaluation: Play the held-out stream of seeds, which training never shares.
        config: Further strings for DeepMind Lab's config.
        level_cache: Folder of the real engine's map cache, shared by any number of processes; None for its default.
        reopen: Close the real engine and open it anew at every reset. It keeps state from one episode to the next, so
            only then does a seed give the same episode wherever it is played. It costs 0.1 to 0.3 seconds of processor
            time per episode; training that needs no episode twice can save them with False. litelab never needs it.

    Observations are fresh arrays. A time-out is `truncated`; `terminated` means the level's own rules ended the
    episode. `info` holds `engine`, `level`, `episode_seed`, `map_reset` (the map restarted within this step: the two
    frames around it are no transition), `frames` (60 Hz frames that this step played) and `events`.

    litelab shows the true last frame after the end of an episode; the real engine has none and repeats the one before.

    Raises:
        ValueError: An option is not allowed; the sentence names it and what is.
        EngineMissing: `engine="deepmind_lab"` without that module.
    """

    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": 15}  # noqa: RUF012

    def __init__(
        self,
        level: str = DEFAULT_LEVEL,
        engine: str = "auto",
        action_set: str = "dreamer15",
        frame_skip: int = 4,
        width: int = 64,
        height: int = 64,
        observations: Sequence[str] = ("RGB_INTERLEAVED",),
        hud: str = "full",
        textures: str = "procedural",
        render_mode: str | None = None,
        render_size: Sequence[int] = (320, 240),
        evaluation: bool = False,
        config: Mapping[str, str] | None = None,
        level_cache: str | None = None,
        reopen: bool = True,
    ) -> None:
        spec = check_spec(engine, action_set, frame_skip, width, height, hud, textures)
        options = check_options(
            spec, level, observations, render_mode, render_size, evaluation, config, level_cache, reopen
        )
        self.action_set = find_action_set(action_set)
        self.level = options.level
        self.env_spec = spec
        self.evaluation = options.evaluation
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": max(1, round(60 / spec.frame_skip))}
        self._options = options
        self._engine = make_engine(options)
        self.observation_space = observation_space(options.observations, spec.width, spec.height, self._engine.players)
        self.action_space = self.action_set.space()
        self._link()
        self._running = False
        self._closed = False
        self._seed = -1
        self._window: Any = None
        self._spec: GymSpec | None = None

    def _link(self) -> None:
        """Prepare what a step needs of the engine."""
        self._rows = [self._engine.prepare(row) for row in self.action_set.rows]
        self._events: Any = self._engine.events if self._engine.has_events else None

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles hold: on litelab all of the episode, and no window."""
        state = {name: value for name, value in self.__dict__.items() if name not in ("_rows", "_events")}
        state["_window"] = None
        if self.engine != "litelab":
            if self._seed >= 0 and not self._closed:
                raise TypeError(
                    "The real DeepMind Lab cannot be copied or pickled in the middle of an episode, which lies in its "
                    "own memory: "
                    "use engine='litelab', or a new environment."
                )
            state["_engine"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._engine is None:
            self._engine = make_engine(self._options)
        self._link()

    @property
    def spec(self) -> GymSpec | None:
        """Gymnasium's specification, in Python's own types."""
        return self._spec

    @spec.setter
    def spec(self, value: GymSpec | None) -> None:
        self._spec = plain_spec(value)

    @property
    def worlds(self) -> np.ndarray | None:
        """litelab's world record, `(1,)`, that scripted experts and debugging tools read; None on the real engine."""
        return getattr(self._engine, "worlds", None)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode. Without `seed` it is the next of this environment's stream.

        Args:
            seed: Begins the stream anew.
            options: `episode_seed`, an integer in [0, 2**31), plays the episode that had it as `info["episode_seed"]`;
                the stream stays where it is.

        Returns:
            The first observation and `info`.

        Raises:
            ValueError: The seed or an option is not allowed.
        """
        if self._closed:
            raise ClosedError("reset was called on a closed DMLabEnv: make a new one.")
        given = reset_options(options, ("episode_seed",)).get("episode_seed")
        chosen = None if given is None else episode_seed(given)
        begin = stream_seed(seed)
        if begin is not None or self._np_random is None:
            self.begin_stream(begin)
        self._running = False  # until the engine has begun the episode
        self._seed = self.draw_episode_seed() if chosen is None else chosen
        observation = self._engine.reset(self._seed)
        self._running = True
        if self.render_mode == "human":
            self.render()
        return observation, self._info(0, 0)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play `frame_skip` frames of an action.

        Returns:
            Observation, reward, terminated, truncated, info.

        Raises:
            InvalidAction: The action is outside the space.
            ResetNeeded: Before the first reset, or after the end of an episode.
        """
        if not self._running:
            raise self._not_running()
        if self._rows:
            native = self._rows[action_number(action, self.action_set)]
        else:
            native = self._engine.prepare(native_action(action))
        observation, reward, end, restarts, played = self._engine.step(native, self.frame_skip)
        info = self._info(restarts, played, () if self._events is None else tuple(self._events()))
        if end:
            self._running = False
        if self.render_mode == "human":
            self.render()
        return observation, reward, end == 1, end == 2, info

    def render(self) -> Any:
        """The player's view: (height, width, 3) uint8 of `render_size` for "rgb_array", a window for "human"."""
        if self.render_mode is None:
            gym.logger.warn(
                "render was called without a render mode: pass render_mode='rgb_array' or 'human' to gym.make."
            )
            return None
        if self._seed < 0:
            raise ResetNeeded("render was called before the first reset.")
        picture = self._engine.picture(*self._options.render_size)
        if self.render_mode == "rgb_array":
            return picture
        if self._window is None:
            from flexlam_rl.envs.window import Window

            self._window = Window(f"{self.level} ({self.engine})", self.metadata["render_fps"])
        self._window.show(picture)
        return None

    def close(self) -> None:
        """Release engine and window; may be called again."""
        if not self._closed:
            self._engine.close()
            if self._window is not None:
                self._window.close()
        self._closed = True
        self._running = False

    def _info(self, restarts: int, played: int, events: tuple[Any, ...] = ()) -> dict[str, Any]:
        return {
            "engine": self.engine,
            "level": self.level,
            "episode_seed": self._seed,
            "map_reset": restarts > 0,
            "frames": played,
            "events": events,
        }

    def _not_running(self) -> Exception:
        if self._closed:
            return ClosedError("step was called on a closed DMLabEnv: make a new one.")
        if self._seed < 0:
            return ResetNeeded("step was called before the first reset: call reset first.")
        return ResetNeeded("step was called after the end of the episode: call reset first.")
