"""`DMLabEnv`: a level of DeepMind Lab as a Gymnasium environment, on litelab or on the real engine."""

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
    """One level of DeepMind Lab.

    Observations are new arrays. A time-out is `truncated`; `terminated` means that the level's rules ended the episode.
    `info` holds `engine`, `level`, `episode_seed`, `map_reset` (True if the map restarted within this step, so that the
    frames before and after it are not a transition), `frames` (60 Hz frames that this step played) and `events`.

    After the end of an episode, litelab shows the true final frame; the real engine has none and repeats the one
    before.

    Args:
        level: One of `flexlam_rl.envs.domains.dmlab.levels.LEVELS`, with or without `contributed/dmlab30/`. litelab
            also has "maze_quadrants"; the real engine also accepts any other path that contains a slash.
        engine: "litelab", "deepmind_lab", or "auto": the real engine if it can be imported, else litelab.
        action_set: "dreamer15", "impala9", "teco3" (`Discrete`) or "native7" (int32 `Box` of shape (7,)).
        frame_skip: Number of 60 Hz frames per step, all played with the same action.
        width, height: Size of image observations in pixels, multiples of 4.
        observations: Names of DeepMind Lab's observations. One name gives a bare observation, several a `Dict`.
        hud: "full", "reduced" (head icon and crosshair) or "none".
        textures: litelab's look: "procedural", or "labmaze" for the original wall, floor and sky textures from the
            package `labmaze`.
        render_mode: None, "rgb_array" or "human".
        render_size: Width and height of rendered pictures, multiples of 4.
        evaluation: Draw episode seeds from the held-out stream, which training never uses.
        config: Further strings for DeepMind Lab's config.
        level_cache: Folder of the real engine's map cache, which any number of processes can share; None for the
            default folder.
        reopen: Close and reopen the real engine at every reset. The engine keeps state between episodes, so without
            reopening a seed does not always give the same episode. Reopening costs 0.1 to 0.3 seconds of processor
            time per episode; training that never repeats an episode can turn it off. It has no effect on litelab.

    Raises:
        ValueError: An option is not allowed; the message names it and the allowed values.
        EngineMissing: The engine is "deepmind_lab" and its module cannot be imported.
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
        """Prepare the engine's form of each action, and its source of events."""
        self._rows = [self._engine.prepare(row) for row in self.action_set.rows]
        self._events: Any = self._engine.events if self._engine.has_events else None

    def __getstate__(self) -> dict[str, Any]:
        """State for copies and pickles: on litelab it contains the whole running episode; windows are left out."""
        state = {name: value for name, value in self.__dict__.items() if name not in ("_rows", "_events")}
        state["_window"] = None
        if self.engine != "litelab":
            if self._seed >= 0 and not self._closed:
                raise TypeError(
                    "The real DeepMind Lab cannot be copied or pickled in the middle of an episode, because the engine "
                    "keeps the episode in its own memory: use engine='litelab', or a new environment."
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
        """litelab's world record, (1,), which scripted experts and debugging tools read; None on the real engine."""
        return getattr(self._engine, "worlds", None)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode: by default, the next one of this environment's stream of episode seeds.

        Args:
            seed: Starts the stream anew; None continues it.
            options: `episode_seed`, an integer in [0, 2**31), replays the episode that had this
                `info["episode_seed"]`, without advancing the stream.

        Returns:
            The first observation and `info`.

        Raises:
            ValueError: The seed or an option is not allowed.
            ClosedError: The environment is closed.
        """
        if self._closed:
            raise ClosedError("reset was called on a closed DMLabEnv: make a new one.")
        given = reset_options(options, ("episode_seed",)).get("episode_seed")
        chosen = None if given is None else episode_seed(given)
        begin = stream_seed(seed)
        if begin is not None or self._np_random is None:
            self.begin_stream(begin)
        self._running = False  # in case the engine fails to begin the episode
        self._seed = self.draw_episode_seed() if chosen is None else chosen
        observation = self._engine.reset(self._seed)
        self._running = True
        if self.render_mode == "human":
            self.render()
        return observation, self._info(0, 0)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play `frame_skip` frames with an action.

        Returns:
            Observation, reward, terminated, truncated, info.

        Raises:
            InvalidAction: The action is outside the space.
            ResetNeeded: There was no reset yet, or the episode has ended.
            ClosedError: The environment is closed.
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
        """Show the player's view: return it as (height, width, 3) uint8 of `render_size` in the mode "rgb_array", or
        draw it in a window in the mode "human".
        """
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
        """Release the engine and the window; further calls do nothing."""
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
