"""`DMLabVectorEnv`: a batch of litelab environments in one process, stepped on all cores."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from flexlam_rl.envs import batch_options
from flexlam_rl.envs.checks import flag, reset_options, writable
from flexlam_rl.envs.domains.dmlab import batch_options as given_options
from flexlam_rl.envs.domains.dmlab.actions import action_set as find_action_set
from flexlam_rl.envs.domains.dmlab.batch_access import BatchAccess
from flexlam_rl.envs.domains.dmlab.batch_infos import BatchInfos
from flexlam_rl.envs.domains.dmlab.engines import config_refusals
from flexlam_rl.envs.domains.dmlab.env import DMLabEnv
from flexlam_rl.envs.domains.dmlab.member import Member
from flexlam_rl.envs.domains.dmlab.native_actions import native_actions
from flexlam_rl.envs.domains.dmlab.options import check_options, check_spec
from flexlam_rl.envs.domains.dmlab.spaces import observation_space
from flexlam_rl.envs.domains.dmlab.spec_attributes import SpecAttributes
from flexlam_rl.envs.errors import ClosedError, ResetNeeded
from flexlam_rl.envs.litelab.ends import RUNNING, TERMINATED, TRUNCATED
from flexlam_rl.envs.litelab.settings import parse
from flexlam_rl.envs.litelab.worlds import Worlds
from flexlam_rl.envs.seeds import episode_seeds


class DMLabVectorEnv(SpecAttributes, BatchAccess):
    """N litelab environments in one process, stepped by compiled code on all cores.

    Results equal those of N single `DMLabEnv` with the same seeds. A copy of the batch, also a pickled one, continues
    exactly as the batch itself and is independent of it.

    Args:
        levels: One level per environment.
        action_set, frame_skip, width, height, observations, hud, textures: As for `DMLabEnv`, shared by all.
        render_mode, render_size, evaluation, config: As for `DMLabEnv`, shared by all.
        level_cache, reopen: As for `DMLabEnv`; they have no effect on litelab.
        autoreset_mode: NEXT_STEP, SAME_STEP or DISABLED, as Gymnasium's enum or its value.
        copy: Whether observations are new arrays; if False, the next step overwrites them.
        threads: Number of threads; None for one per core.
        max_episode_steps: Steps after which an episode is truncated; None or -1 for the level's own time limit only.

    Raises:
        ValueError: An option is not allowed; the message names it and the allowed values.
    """

    def __init__(
        self,
        levels: Sequence[str],
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
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        copy: bool = True,
        threads: int | None = None,
        max_episode_steps: int | None = None,
    ) -> None:
        if render_mode is not None and render_mode != "rgb_array":
            raise ValueError(f"render_mode must be None or 'rgb_array' for a batch, got {render_mode!r}.")
        if isinstance(levels, str) or not len(levels):
            raise ValueError(f"levels must be a list of one level for each environment, got {levels!r}.")
        spec = check_spec("litelab", action_set, frame_skip, width, height, hud, textures)
        rest = (observations, render_mode, render_size, evaluation, config, level_cache, reopen)
        checked = [check_options(spec, level, *rest) for level in levels]
        options = checked[0]
        self.num_envs = len(levels)
        self.copy = flag("copy", copy)
        self.autoreset_mode = batch_options.reset_mode(autoreset_mode)
        self.max_episode_steps = batch_options.step_limit(max_episode_steps)
        self.metadata = {
            **DMLabEnv.metadata,
            "render_fps": max(1, round(60 / spec.frame_skip)),
            "autoreset_mode": self.autoreset_mode,
        }
        self.render_mode = render_mode
        self.action_set = find_action_set(action_set)
        self.env_spec = spec
        self.evaluation = options.evaluation
        self.levels = [o.level for o in checked]
        self._render_size = options.render_size
        threads = given_options.thread_count(threads)
        with config_refusals():
            self._worlds = Worlds(
                [parse(o.path, o.config, runfiles="litelab") for o in checked], options.observations, threads
            )
        players = self._worlds.players
        if any(name.startswith("DEBUG.PLAYERS.") for name in options.observations) and len(set(players.tolist())) > 1:
            raise ValueError("observations of DEBUG.PLAYERS need levels with the same number of players.")
        self.single_observation_space = observation_space(
            options.observations, spec.width, spec.height, int(players[0])
        )
        self.single_action_space = self.action_set.space()
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._infos = BatchInfos(self.engine, self.levels)
        self._members = [Member(self, i) for i in range(self.num_envs)]
        self._seeds = np.full(self.num_envs, -1, np.int64)
        self._elapsed = np.zeros(self.num_envs, np.int64)
        self._done = np.ones(self.num_envs, np.bool_)
        self._started = False
        self._rgb = self._worlds.new_picture() if self._worlds.needs_rgb else None
        self._twin: Worlds | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_twin": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(writable(state))

    @property
    def worlds(self) -> np.ndarray:
        """litelab's world records, (N,), which scripted experts and debugging tools read."""
        return self._worlds.worlds

    @property
    def started(self) -> bool:
        """Whether the batch has been reset at least once."""
        return self._started

    def _begin(self, which: np.ndarray, rgb: np.ndarray | None, given: Sequence[int | None] | None = None) -> None:
        for i in which.tolist():
            chosen = None if given is None else given[i]
            self._seeds[i] = self._members[i].draw_episode_seed() if chosen is None else chosen
        self._elapsed[which] = 0
        self._worlds.begin(which, self._seeds[which].tolist(), rgb)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in all environments, or in those of a mask.

        Args:
            seed: None to continue every environment's stream of episode seeds, a number to start the stream of
                environment `i` at `seed + i`, or a list with one seed or None per environment.
            options: `reset_mask`, an (N,) bool array, selects the environments to reset. `episode_seed`, an integer in
                [0, 2**31), replays the episode that had this `episode_seed` in its info; `episode_seeds` holds one, or
                None, per environment. Episodes chosen in this way do not advance the streams.

        Returns:
            Batched observations and infos.

        Raises:
            ValueError: The seed or an option is not allowed.
            ResetNeeded: The first reset does not include all environments.
            ClosedError: The batch is closed.
        """
        if self.closed:
            raise ClosedError("reset was called on a closed DMLabVectorEnv: make a new one.")
        n = self.num_envs
        named = reset_options(options, ("reset_mask", "episode_seed", "episode_seeds"))
        mask = batch_options.reset_mask(named.get("reset_mask"), n)
        if mask is not None and not self._started and not mask.all():
            raise ResetNeeded("the first reset must be of all environments.")
        which = np.arange(n) if mask is None else np.flatnonzero(mask)
        seeds = batch_options.reset_seeds(seed, n)
        given = episode_seeds(named, which, n)
        for i in which.tolist():
            if seeds[i] is not None or self._members[i]._np_random is None:
                self._members[i].begin_stream(seeds[i])
        rgb = self._target(redraw=len(which) < n)
        self._done[which] = True  # in case the engine fails to begin the episodes
        self._begin(which, rgb, given)
        self._done[which] = False
        self._started = True
        observation = self._worlds.observe(rgb)
        if mask is None:
            return observation, self._infos.all(self._seeds, np.zeros(n, np.bool_), np.zeros(n, np.int64), {})
        infos: dict[str, Any] = {}
        for i in which.tolist():
            infos = self._add_info(infos, self._infos.one(i, int(self._seeds[i]), False, 0, ()), i)
        return observation, infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Play `frame_skip` frames in all environments.

        Args:
            actions: (N,) discrete actions, or (N, 7) native ones.

        Returns:
            Observations, rewards (N,) float64, terminations (N,) bool, truncations (N,) bool, and infos.

        Raises:
            InvalidAction: An action is outside the space.
            ResetNeeded: There was no reset yet, or with autoreset DISABLED an episode has ended.
            ClosedError: The batch is closed.
        """
        if self.closed:
            raise ClosedError("step was called on a closed DMLabVectorEnv.")
        if not self._started:
            raise ResetNeeded("step was called before the first reset: call reset first.")
        worlds = self._worlds
        native = native_actions(actions, self.action_set, self.num_envs)
        over = self._done
        mode = self.autoreset_mode
        skip: np.ndarray | None = None
        if mode is not AutoresetMode.SAME_STEP and over.any():
            if mode is AutoresetMode.DISABLED:
                raise ResetNeeded(
                    f"step was called after the end of an episode: reset environments {np.flatnonzero(over).tolist()} "
                    "first."
                )
            skip = over
        rgb = self._target()
        worlds.play(native, skip, self.frame_skip, rgb)
        results = worlds.results
        rewards, ends, frames = results["reward"].copy(), results["end"].copy(), results["frames"].copy()
        resets = results["restarts"] > 0
        events = dict(worlds.events()) if worlds.has_events else {}
        self._elapsed += 1
        if skip is not None:
            ends[skip] = RUNNING
            self._begin(np.flatnonzero(skip), rgb)
        terminations, truncations = ends == TERMINATED, ends == TRUNCATED
        if self.max_episode_steps is not None:
            truncations |= self._elapsed >= self.max_episode_steps
        done = terminations | truncations
        infos: dict[str, Any] = {}
        self._done = done
        if mode is AutoresetMode.SAME_STEP and done.any():
            which = np.flatnonzero(done)
            infos = self._final(which, rgb, resets, frames, events)
            self._begin(which, rgb)
            resets[which] = False
            frames[which] = 0
            events = {i: e for i, e in events.items() if not done[i]}
            self._done = np.zeros(self.num_envs, np.bool_)
        observation = worlds.observe(rgb)
        infos.update(self._infos.all(self._seeds, resets, frames, events))
        return observation, rewards, terminations, truncations, infos

    def ahead(self, actions: Any) -> tuple[Any, np.ndarray]:
        """Find out what a step would show, on a copy of the worlds; the batch itself does not change.

        Args:
            actions: As for `step`.

        Returns:
            The observations after the actions, as new arrays, and whether the map would restart in this step, (N,)
            bool.

        Raises:
            InvalidAction: An action is outside the space.
            ResetNeeded: There was no reset yet.
        """
        if not self._started:
            raise ResetNeeded("ahead was called before the first reset: call reset first.")
        if self._twin is None:
            self._twin = copy.deepcopy(self._worlds)
        twin = self._twin
        twin.worlds[:] = self.worlds
        rgb = twin.new_picture() if twin.needs_rgb else None
        twin.play(native_actions(actions, self.action_set, self.num_envs), None, self.frame_skip, rgb)
        return twin.observe(rgb), twin.results["restarts"] > 0

    def _target(self, redraw: bool = False) -> np.ndarray | None:
        """Choose the array to draw into: a new one, or with copy=False always the same.

        With `redraw`, the current view is drawn into a new array, since the caller may have changed the previous one.
        """
        if self._rgb is None or not self.copy:
            return self._rgb
        fresh = self._worlds.new_picture()
        if redraw:
            self._worlds.draw(fresh)
        return fresh

    def _final(
        self,
        which: np.ndarray,
        rgb: np.ndarray | None,
        resets: np.ndarray,
        frames: np.ndarray,
        events: dict[int, tuple[Any, ...]],
    ) -> dict[str, Any]:
        """Collect `final_obs` and `final_info` of the environments whose episode has just ended."""
        seen = self._worlds.observe(rgb)
        infos: dict[str, Any] = {}
        for i in which.tolist():
            last = {k: self._own(v[i]) for k, v in seen.items()} if isinstance(seen, dict) else self._own(seen[i])
            info = self._infos.one(i, int(self._seeds[i]), bool(resets[i]), int(frames[i]), events.get(i, ()))
            infos = self._add_info(infos, {"final_obs": last, "final_info": info}, i)
        return infos

    @staticmethod
    def _own(value: Any) -> Any:
        return value.copy() if isinstance(value, np.ndarray) else value

    def picture(self, i: int) -> np.ndarray:
        """View of environment `i`, (height, width, 3) uint8 of `render_size`."""
        return self._worlds.picture(i, *self._render_size)

    def close_extras(self, **kwargs: Any) -> None:
        """Stop the worker threads."""
        for worlds in (self._worlds, self._twin):
            if worlds is not None:
                worlds.pool.close()
