"""Batches of environments: litelab worlds in one process on all cores, or processes of the real engine."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from flexlam_rl.envs.actions import NATIVE_HIGH, NATIVE_LOW
from flexlam_rl.envs.actions import action_set as find_action_set
from flexlam_rl.envs.dmlab import SEED_LIMIT, DMLabEnv, episode_seed, episode_stream
from flexlam_rl.envs.engines import check_options, choose_engine
from flexlam_rl.envs.levels import DEFAULT_LEVEL
from flexlam_rl.envs.litelab.ends import RUNNING, TERMINATED, TRUNCATED
from flexlam_rl.envs.litelab.settings import parse
from flexlam_rl.envs.litelab.worlds import Worlds
from flexlam_rl.envs.spaces import observation_space
from flexlam_rl.errors import ClosedError, InvalidAction, ResetNeeded
from flexlam_rl.startup import interrupts_held


def reset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    """The autoreset mode of a name (`"NextStep"`, `"SameStep"`, `"Disabled"`, or `"NEXT_STEP"` and so on).

    Raises:
        ValueError: There is none.
    """
    if isinstance(mode, AutoresetMode):
        return mode
    for candidate in AutoresetMode:
        if mode in (candidate.value, candidate.name):
            return candidate
    raise ValueError(f"autoreset_mode must be one of {', '.join(repr(m.value) for m in AutoresetMode)}, got {mode!r}.")


def spread_levels(level: str | Sequence[str], num_envs: int) -> list[str]:
    """The level of every environment.

    Raises:
        ValueError: A list whose length is not `num_envs`, or no environments.
    """
    if isinstance(num_envs, bool) or not isinstance(num_envs, int | np.integer) or num_envs < 1:
        raise ValueError(f"num_envs must be an integer of at least 1, got {num_envs!r}.")
    levels = [level] * int(num_envs) if isinstance(level, str) else list(level)
    if len(levels) != num_envs:
        raise ValueError(f"level has {len(levels)} names for num_envs={num_envs}: give one name or one for each environment.")
    return levels


def make_vector(
    num_envs: int = 1,
    level: str | Sequence[str] = DEFAULT_LEVEL,
    engine: str = "auto",
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    copy: bool = True,
    threads: int | None = None,
    context: str | None = None,
    **options: Any,
) -> VectorEnv:
    """What `gym.make_vec` calls: a `DMLabVectorEnv` on litelab, processes of `DMLabEnv` on the real engine.

    Args:
        num_envs: Number of environments.
        level: One level for all, or a list of one for each.
        engine: As for `DMLabEnv`.
        autoreset_mode: NEXT_STEP, SAME_STEP or DISABLED, as Gymnasium's enum or its value.
        copy: Whether observations are fresh arrays (else they are overwritten by the next step).
        threads: Threads of the litelab batch, None for one a core.
        context: Start method of the real engine's processes, None for Python's default.
        **options: The other options of `DMLabEnv`.
    """
    levels = spread_levels(level, num_envs)
    mode = reset_mode(autoreset_mode)
    chosen = choose_engine(engine)
    if chosen == "litelab":
        return DMLabVectorEnv(levels, autoreset_mode=mode, copy=copy, threads=threads, **options)
    makers = [partial(DMLabEnv, level=name, engine=chosen, **options) for name in levels]
    with interrupts_held():  # Ctrl-C is this process's affair, which closes the others
        return AsyncVectorEnv(makers, copy=copy, context=context, autoreset_mode=mode)


class DMLabVectorEnv(VectorEnv[Any, Any, np.ndarray]):
    """N litelab environments in one process: what N `DMLabEnv` with the same seeds give, stepped by compiled code on all cores.

    Args:
        levels: The level of every environment.
        action_set, frame_skip, width, height, observations, hud, textures, render_mode, render_size, evaluation, config,
            level_cache, reopen: As for `DMLabEnv`, the same for all; the last two change nothing on litelab.
        autoreset_mode: NEXT_STEP, SAME_STEP or DISABLED.
        copy: Whether observations are fresh arrays.
        threads: Threads to use, None for one a core.

    Raises:
        ValueError: An option is not allowed; the sentence names it and what is.
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
    ) -> None:
        if render_mode == "human":
            raise ValueError("render_mode must be None or 'rgb_array' for a batch, got 'human'.")
        rest = (frame_skip, width, height, observations, hud, textures, render_mode, render_size, evaluation, config, level_cache)
        checked = [check_options(level, "litelab", *rest) for level in levels]
        options = checked[0]
        self.num_envs = len(levels)
        self.copy = copy
        self.autoreset_mode = reset_mode(autoreset_mode)
        self.metadata = {**DMLabEnv.metadata, "render_fps": max(1, round(60 / frame_skip)), "autoreset_mode": self.autoreset_mode}
        self.render_mode = render_mode
        self.action_set = find_action_set(action_set)
        self.frame_skip = options.frame_skip
        self.evaluation = options.evaluation
        self.levels = [o.level for o in checked]
        self.engine = "litelab"
        self.textures = textures
        self.hud = hud
        self._options = options
        self._worlds = Worlds([parse(o.path, o.config, runfiles="litelab") for o in checked], options.observations, threads)
        players = self._worlds.players
        if any(name.startswith("DEBUG.PLAYERS.") for name in options.observations) and len(set(players.tolist())) > 1:
            raise ValueError("observations of DEBUG.PLAYERS need levels with the same number of players.")
        self.single_observation_space = observation_space(options.observations, options.width, options.height, int(players[0]))
        self.single_action_space = self.action_set.space()
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._generators: list[np.random.Generator | None] = [None] * self.num_envs
        self._entropies: list[int] = [-1] * self.num_envs
        self._seeds = np.full(self.num_envs, -1, np.int64)
        self._done = np.ones(self.num_envs, np.bool_)
        self._started = False
        self._rgb = self._worlds.new_picture() if self._worlds.needs_rgb else None
        self._low, self._high = np.array(NATIVE_LOW), np.array(NATIVE_HIGH)
        # infos that never change, shared by all steps
        self._true = self._constant(np.ones(self.num_envs, np.bool_))
        self._names = self._constant(np.full(self.num_envs, self.engine, dtype=object))
        level_names = np.empty(self.num_envs, dtype=object)
        level_names[:] = self.levels
        self._level_names = self._constant(level_names)
        self._no_events = self._constant(self._tuples({}))

    @staticmethod
    def _constant(array: np.ndarray) -> np.ndarray:
        array.flags.writeable = False
        return array

    def _tuples(self, events: dict[int, tuple[Any, ...]]) -> np.ndarray:
        array = np.empty(self.num_envs, dtype=object)
        for i in range(self.num_envs):
            array[i] = events.get(i, ())
        return array

    @property
    def worlds(self) -> np.ndarray:
        """litelab's world records, `(num_envs,)`: what scripted experts and debugging tools read."""
        return self._worlds.worlds

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seed that every environment's generator was made from."""
        return tuple(self._entropies)

    def _seed(self, i: int, seed: int | None) -> None:
        if seed is not None or self._generators[i] is None:
            generator, entropy = gym.utils.seeding.np_random(None if seed is None else int(seed))
            self._entropies[i] = int(entropy)
            self._generators[i] = episode_stream(int(entropy), True) if self.evaluation else generator

    def _begin(self, which: np.ndarray, rgb: np.ndarray | None, given: Sequence[int] | None = None) -> None:
        seeds = self._seeds.copy()  # arrays given out with earlier infos stay as they were
        for i in which.tolist():
            if given is not None:
                seeds[i] = episode_seed(given[i])
                continue
            generator = self._generators[i]
            assert generator is not None
            seeds[i] = generator.integers(SEED_LIMIT)
        self._seeds = seeds
        self._worlds.begin(which, seeds[which].tolist(), rgb)

    def reset(self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode everywhere.

        Args:
            seed: None to continue every environment's stream, a number for seeds `seed + i`, or a list of one for each.
            options: `reset_mask`, an (N,) bool array, restricts the reset to where it is true. `episode_seeds`, N integers in
                [0, 2**31), plays the episodes that had them as `episode_seed` in their infos; the streams stay where they are.

        Returns:
            Batched observations and infos.
        """
        if self.closed:
            raise ClosedError("reset was called on a closed DMLabVectorEnv: make a new one.")
        n = self.num_envs
        seeds = [seed + i for i in range(n)] if isinstance(seed, int | np.integer) else [None] * n if seed is None else list(seed)
        if len(seeds) != n:
            raise ValueError(f"seed has {len(seeds)} entries for num_envs={n}: give one number or one for each environment.")
        mask = None if options is None else options.get("reset_mask")
        if mask is None:
            which = np.arange(n)
        else:
            if not isinstance(mask, np.ndarray) or mask.shape != (n,) or mask.dtype != np.bool_ or not mask.any():
                raise ValueError(f"options['reset_mask'] must be a bool array of shape ({n},) with a true value, got {mask!r}.")
            if not self._started and not mask.all():
                raise ResetNeeded("the first reset must be of all environments.")
            which = np.flatnonzero(mask)
        given = None if options is None else options.get("episode_seeds")
        if given is not None and len(given) != n:
            raise ValueError(f"options['episode_seeds'] has {len(given)} entries for num_envs={n}: give one for each environment.")
        for i in which.tolist():
            self._seed(i, seeds[i])
        rgb = self._target(keep=mask is not None)
        self._begin(which, rgb, given)
        self._done[which] = False
        self._started = True
        observation = self._worlds.observe(rgb)
        if mask is None:
            zeros = np.zeros(n, np.int64)
            return observation, self._infos(np.zeros(n, np.bool_), zeros, self._no_events)
        infos: dict[str, Any] = {}
        for i in which.tolist():
            infos = self._add_info(infos, self._info_of(i, False, 0, ()), i)
        return observation, infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Play `frame_skip` frames everywhere.

        Args:
            actions: (N,) numbers of actions, or (N, 7) native ones.

        Returns:
            Observations, rewards (N,) float64, terminations, truncations (N,) bool, infos.

        Raises:
            InvalidAction: An action is outside the space.
            ResetNeeded: Before the first reset, or (DISABLED) after the end of an episode.
        """
        if not self._started or self.closed:
            raise (
                ClosedError("step was called on a closed DMLabVectorEnv.")
                if self.closed
                else ResetNeeded("step was called before the first reset: call reset first.")
            )
        worlds = self._worlds
        native = self._native(actions)
        over = self._done
        mode = self.autoreset_mode
        skip: np.ndarray | None = None
        if mode is not AutoresetMode.SAME_STEP and over.any():
            if mode is AutoresetMode.DISABLED:
                raise ResetNeeded(f"step was called after the end of an episode: reset environments {np.flatnonzero(over).tolist()} first.")
            skip = over
        rgb = self._target(keep=False)
        worlds.play(native, skip, self.frame_skip, rgb)
        results = worlds.results
        rewards, ends, frames = results["reward"].copy(), results["end"].copy(), results["frames"].copy()
        resets = results["restarts"] > 0
        events = dict(worlds.events()) if worlds.has_events else {}
        if skip is not None:
            ends[skip] = RUNNING
            self._begin(np.flatnonzero(skip), rgb)
        terminations, truncations = ends == TERMINATED, ends == TRUNCATED
        done = ends != RUNNING
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
        infos.update(self._infos(resets, frames, self._tuples(events) if events else self._no_events))
        return observation, rewards, terminations, truncations, infos

    def _target(self, keep: bool) -> np.ndarray | None:
        """Where to draw: a fresh array, or with copy=False always the same; `keep` what was there."""
        if self._rgb is None or not self.copy:
            return self._rgb
        fresh = self._worlds.new_picture()
        if keep:
            fresh[:] = self._rgb
        self._rgb = fresh
        return fresh

    def _native(self, actions: Any) -> np.ndarray:
        actions = np.asarray(actions)
        count = len(self.action_set)
        if actions.dtype.kind not in "iu":
            raise InvalidAction(f"actions must be integers, got an array of {actions.dtype}.")
        if count:
            if actions.shape != (self.num_envs,):
                raise InvalidAction(f"actions must have shape ({self.num_envs},), got {actions.shape}.")
            if actions.min() < 0 or actions.max() >= count:
                bad = actions[(actions < 0) | (actions >= count)][0]
                raise InvalidAction(f"Action {bad} is outside the action space: {self.action_set.name} has actions 0 to {count - 1}.")
            return self.action_set.table[actions]
        if actions.shape != (self.num_envs, 7):
            raise InvalidAction(f"actions must have shape ({self.num_envs}, 7), got {actions.shape}.")
        if (actions < self._low).any() or (actions > self._high).any():
            raise InvalidAction(f"An action is outside the action space: native7 takes 7 integers from {list(NATIVE_LOW)} to {list(NATIVE_HIGH)}.")
        return np.ascontiguousarray(actions, dtype=np.intc)

    def _info_of(self, i: int, reset: bool, frames: int, events: tuple[Any, ...]) -> dict[str, Any]:
        return {
            "engine": self.engine,
            "level": self.levels[i],
            "episode_seed": int(self._seeds[i]),
            "map_reset": reset,
            "frames": frames,
            "events": events,
        }

    def _infos(self, resets: np.ndarray, frames: np.ndarray, events: np.ndarray) -> dict[str, Any]:
        true = self._true
        return {
            "engine": self._names,
            "_engine": true,
            "level": self._level_names,
            "_level": true,
            "episode_seed": self._seeds,
            "_episode_seed": true,
            "map_reset": resets,
            "_map_reset": true,
            "frames": frames,
            "_frames": true,
            "events": events,
            "_events": true,
        }

    def _final(
        self, which: np.ndarray, rgb: np.ndarray | None, resets: np.ndarray, frames: np.ndarray, events: dict[int, tuple[Any, ...]]
    ) -> dict[str, Any]:
        """`final_obs` and `final_info` of the environments whose episode has just ended."""
        seen = self._worlds.observe(rgb)
        infos: dict[str, Any] = {}
        for i in which.tolist():
            last = {k: self._own(v[i]) for k, v in seen.items()} if isinstance(seen, dict) else self._own(seen[i])
            info = self._info_of(i, bool(resets[i]), int(frames[i]), events.get(i, ()))
            infos = self._add_info(infos, {"final_obs": last, "final_info": info}, i)
        return infos

    @staticmethod
    def _own(value: Any) -> Any:
        return value.copy() if isinstance(value, np.ndarray) else value

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """An attribute that the environments have as single ones.

        Raises:
            AttributeError: They have none of that name.
        """
        if name in ("observation_space", "action_space"):
            return (getattr(self, f"single_{name}"),) * self.num_envs
        if name == "level":
            return tuple(self.levels)
        if name == "np_random":
            return tuple(self._generators)
        if name == "np_random_seed":
            return self.np_random_seed
        if name in ("engine", "action_set", "frame_skip", "evaluation", "textures", "hud", "render_mode", "metadata", "spec"):
            return (getattr(self, name),) * self.num_envs
        raise AttributeError(f"The environments of a DMLabVectorEnv have no attribute {name!r}.")

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """`render` of every environment, or an attribute.

        Raises:
            AttributeError: There is none of that name that works for one environment of a batch.
        """
        if name == "render":
            return self.render() or (None,) * self.num_envs
        return self.get_attr(name)

    def render(self) -> tuple[Any, ...] | None:
        """Every environment's view, (height, width, 3) uint8 of `render_size`."""
        if self.render_mode is None:
            gym.logger.warn("render was called without a render mode: pass render_mode='rgb_array' to gym.make_vec.")
            return None
        if not self._started:
            raise ResetNeeded("render was called before the first reset.")
        return tuple(self._worlds.picture(i, *self._options.render_size) for i in range(self.num_envs))

    def close_extras(self, **kwargs: Any) -> None:
        """End the threads."""
        self._worlds.pool.close()
