"""One task of ViZDoom as a Gymnasium environment."""

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from flexlam_rl.envs.domain import Task
from flexlam_rl.envs.domains.vizdoom.actions import ROWS, action_space
from flexlam_rl.envs.domains.vizdoom.game import open_game, screen_for
from flexlam_rl.envs.domains.vizdoom.tasks import TICS_PER_SECOND
from flexlam_rl.envs.errors import ClosedError, InvalidAction, ResetNeeded
from flexlam_rl.envs.resizing import resized
from flexlam_rl.envs.seeds import SEED_LIMIT
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.utils.numbers import is_integer


@dataclass(frozen=True)
class Thing:
    """An object in view, for scripted experts.

    Attributes:
        name: Doom's class of the object ("DoomImp").
        kind: Category of the class ("Monster", "Health", ...).
        left, right: Edges of the object in the view, from -1 (left end) to 1 (right end).
        place: Position on the map, (x, y).
    """

    name: str
    kind: str
    left: float
    right: float
    place: tuple[float, float]


class DoomEnv(gym.Env[np.ndarray, Any]):
    """A scenario of ViZDoom; frames are (height, width, 3) uint8, scaled down from the engine's 4:3 screen.

    The engine starts with the first reset. After death or the end of the task the engine has no new frame, so the last
    one is shown again.

    Args:
        task: The task to play.
        spec: Resolved record of how the task is shown and controlled.
        render_mode: None, or "rgb_array" for the engine's whole screen.

    Attributes:
        env_spec: The record.
        level: Name of the task.
        begun: Number of episodes begun so far, and the seed of the last one.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": TICS_PER_SECOND}  # noqa: RUF012

    def __init__(self, task: Task, spec: EnvSpec, render_mode: str | None = None) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}.")
        assert task.frames is not None
        self.env_spec, self.level, self.render_mode = spec, task.name, render_mode
        self.metadata = {**self.metadata, "render_fps": max(1, round(TICS_PER_SECOND / spec.frame_skip))}
        self.observation_space = spaces.Box(0, 255, (spec.height, spec.width, 3), np.uint8)
        self.action_space = action_space()
        self._limit, self._tics = task.frames, 0
        self.begun = (0, 0)
        self._screen = screen_for(spec.width, spec.height)
        self._game: Any = None
        self._watched = False
        self._frame = np.zeros(0, np.uint8)
        self._running = self._closed = False

    def __getstate__(self) -> dict[str, Any]:
        """State for copies and pickles, without the engine."""
        if self._running:
            raise TypeError(
                "ViZDoom cannot be copied or pickled in the middle of an episode, because the engine's process holds "
                "the episode: make a new environment."
            )
        return {**self.__dict__, "_game": None}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: Seed of the episode; None draws one.
            options: None or empty, because there are no options.

        Raises:
            ValueError: There are options.
            ClosedError: The environment is closed.
        """
        if self._closed:
            raise ClosedError("reset was called on a closed DoomEnv: make a new one.")
        if options:
            raise ValueError(f"options of reset must be empty, got {sorted(options)[0]!r}.")
        super().reset(seed=seed)
        if self._game is None:
            self._game = open_game(self.level, self._screen, self.env_spec.hud == "full", self._watched)
        chosen = int(self.np_random.integers(SEED_LIMIT)) if seed is None else seed
        self._game.set_seed(chosen)
        self._game.new_episode()
        self.begun = (self.begun[0] + 1, chosen)
        self._running, self._tics = True, 0
        self._frame = self._seen()
        return self._frame, self._info(0)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Hold an action's buttons for `frame_skip` tics, or fewer if the time is up.

        Raises:
            InvalidAction: The action is outside the space.
            ResetNeeded: There was no reset yet, or the episode has ended.
        """
        if not self._running:
            raise ResetNeeded("step was called without an episode: call reset first.")
        whole = action.item() if isinstance(action, np.ndarray) and action.size == 1 else action
        if not is_integer(whole) or not 0 <= whole < len(ROWS):
            raise InvalidAction(f"An action is an integer from 0 to {len(ROWS) - 1}, got {action!r}.")
        tics = min(self.env_spec.frame_skip, self._limit - self._tics)
        reward = float(self._game.make_action(ROWS[int(whole)], tics))
        self._tics += tics
        terminated = bool(self._game.is_episode_finished())
        truncated = not terminated and self._tics >= self._limit
        self._running = not (terminated or truncated)
        if not terminated:
            self._frame = self._seen()
        return self._frame, reward, terminated, truncated, self._info(tics)

    def watch(self) -> None:
        """Make `in_view` available, for experts that know the world's state; call this before the first reset.

        Raises:
            RuntimeError: The engine has started already.
        """
        if self._game is not None and not self._watched:
            raise RuntimeError("watch was called after the first reset: call it before.")
        self._watched = True

    def in_view(self) -> list[Thing]:
        """List the objects in view without the player's own weapon; empty after the end of an episode."""
        state = None if self._game is None else self._game.get_state()
        half = self._screen[0] / 2
        return [
            Thing(
                label.object_name,
                label.object_category,
                label.x / half - 1.0,
                (label.x + label.width) / half - 1.0,
                (label.object_position_x, label.object_position_y),
            )
            for label in (() if state is None else state.labels)
            if label.object_category != "Self"
        ]

    def pose(self) -> tuple[float, float, float]:
        """Position (x, y) of the player on the map and its direction in degrees, counterclockwise."""
        import vizdoom

        x, y, angle = (
            self._game.get_game_variable(getattr(vizdoom.GameVariable, name))
            for name in ("POSITION_X", "POSITION_Y", "ANGLE")
        )
        return x, y, angle

    def render(self) -> np.ndarray | None:
        """The engine's screen, (height, width, 3) uint8; None without a render mode or a running episode."""
        state = None if self.render_mode is None or self._game is None else self._game.get_state()
        return None if state is None else state.screen_buffer.copy()

    def close(self) -> None:
        """Stop the engine; further calls do nothing."""
        if self._game is not None:
            self._game.close()
        self._game, self._running, self._closed = None, False, True

    def _info(self, tics: int) -> dict[str, Any]:
        return {"engine": self.env_spec.engine, "level": self.level, "frames": tics}

    def _seen(self) -> np.ndarray:
        return resized(self._game.get_state().screen_buffer, self.env_spec.width, self.env_spec.height)
