"""Batches of environments: litelab worlds in one process on all cores, or processes of the real engine."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers import TimeLimit

from flexlam_rl.envs.checks import flag, reset_options, writable
from flexlam_rl.envs.domains.dmlab import batch_options as given_options
from flexlam_rl.envs.domains.dmlab.actions import NATIVE_HIGH, NATIVE_LOW
from flexlam_rl.envs.domains.dmlab.actions import action_set as find_action_set
from flexlam_rl.envs.domains.dmlab.batch_infos import BatchInfos
from flexlam_rl.envs.domains.dmlab.batch_options import reset_mode, spread_levels
from flexlam_rl.envs.domains.dmlab.engines import check_options, choose_engine, config_refusals
from flexlam_rl.envs.domains.dmlab.env import DMLabEnv
from flexlam_rl.envs.domains.dmlab.levels import DEFAULT_LEVEL
from flexlam_rl.envs.domains.dmlab.member import Member
from flexlam_rl.envs.domains.dmlab.spaces import observation_space
from flexlam_rl.envs.errors import ClosedError, InvalidAction, ResetNeeded
from flexlam_rl.envs.litelab.ends import RUNNING, TERMINATED, TRUNCATED
from flexlam_rl.envs.litelab.settings import parse
from flexlam_rl.envs.litelab.worlds import Worlds
from flexlam_rl.envs.plain_spec import plain_spec
from flexlam_rl.utils.numbers import is_integer
from flexlam_rl.utils.startup import interrupts_held


def make_vector(
    num_envs: int = 1,
    level: str | Sequence[str] = DEFAULT_LEVEL,
    engine: str = "auto",
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    copy: bool = True,
    threads: int | None = None,
    context: str | None = None,
    max_episode_steps: int | None = None,
    disable_env_checker: bool | None = None,
    **options: Any,
) -> VectorEnv:
    """Make what `gym.make_vec` gives: a `DMLabVectorEnv` on litelab, processes of `DMLabEnv` on the real engine.

    Args:
        num_envs: Number of environments.
        level: One level for all, or a list of one for each.
        engine: As for `DMLabEnv`.
        autoreset_mode: NEXT_STEP, SAME_STEP or DISABLED, as Gymnasium's enum or its value.
        copy: Whether observations are fresh arrays (else they are overwritten by the next step).
        threads: Threads of the litelab batch, None for one per core; the real engine has processes.
        context: Start method of the real engine's processes, None for Python's default; litelab has threads.
        max_episode_steps: Steps after which an episode is truncated, None or -1 for the level's own time alone.
        disable_env_checker: True or None: a batch has no checker.
        **options: The other options of `DMLabEnv`.

    Raises:
        ValueError: An option is not allowed; the sentence names it.
    """
    levels = spread_levels(level, num_envs)
    mode, copy = reset_mode(autoreset_mode), flag("copy", copy)
    threads, limit = given_options.thread_count(threads), given_options.step_limit(max_episode_steps)
    given_options.check_batch_arguments(context, disable_env_checker, options)
    chosen = choose_engine(engine)
    if chosen == "litelab":
        return DMLabVectorEnv(
            levels, autoreset_mode=mode, copy=copy, threads=threads, max_episode_steps=limit, **options
        )
    makers = [partial(_make_single, limit, level=name, engine=chosen, **options) for name in levels]
    with interrupts_held():  # Ctrl-C is this process's affair, which closes the others
        return AsyncVectorEnv(makers, copy=copy, context=context, autoreset_mode=mode)


def _make_single(limit: int | None, **options: Any) -> gym.Env[Any, Any]:
    env = DMLabEnv(**options)
    return env if limit is None else TimeLimit(env, limit)


class DMLabVectorEnv(VectorEnv[Any, Any, np.ndarray]):
    """N litelab environments in one process: what N `DMLabEnv` with the same seeds give, stepped by compiled code on
    all cores.

    Args:
        levels: The level of every environment. action_set, frame_skip, width, height, observations, hud, textures,
        render_mode, render_size, evaluation, config,
            level_cache, reopen: As for `DMLabEnv`, the same for all; the last two change nothing on litelab.
        autoreset_mode: NEXT_STEP, SAME_STEP or DISABLED.
        copy: Whether observations are fresh arrays.
        threads: Threads to use, None for one per core.
        max_episode_steps: Steps after which an episode is truncated, None or -1 for the level's own time alone.

    A copy, also a pickled one, goes on exactly as the batch itself and is independent of it.

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
        max_episode_steps: int | None = None,
    ) -> None:
        if render_mode is not None and render_mode != "rgb_array":
            raise ValueError(f"render_mode must be None or 'rgb_array' for a batch, got {render_mode!r}.")
        if isinstance(levels, str) or not len(levels):
            raise ValueError(f"levels must be a list of one level for each environment, got {levels!r}.")
        rest = (
            frame_skip,
            width,
            height,
            observations,
            hud,
            textures,
            render_mode,
            render_size,
            evaluation,
            config,
            level_cache,
        )
        checked = [check_options(level, "litelab", *rest) for level in levels]
        options = checked[0]
        self.num_envs = len(levels)
        self.copy = flag("copy", copy)
        self.autoreset_mode = reset_mode(autoreset_mode)
        self.max_episode_steps = given_options.step_limit(max_episode_steps)
        self.metadata = {
            **DMLabEnv.metadata,
            "render_fps": max(1, round(60 / options.frame_skip)),
            "autoreset_mode": self.autoreset_mode,
        }
        self.render_mode = render_mode
        self.action_set = find_action_set(action_set)
        self.frame_skip = options.frame_skip
        self.evaluation = options.evaluation
        self.levels = [o.level for o in checked]
        self.engine = "litelab"
        self.textures = textures
        self.hud = hud
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
            options.observations, options.width, options.height, int(players[0])
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
        self._spec: EnvSpec | None = None
        self._rgb = self._worlds.new_picture() if self._worlds.needs_rgb else None
        self._low, self._high = np.array(NATIVE_LOW), np.array(NATIVE_HIGH)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(writable(state))

    @property
    def spec(self) -> EnvSpec | None:
        """Gymnasium's specification, in Python's own types."""
        return self._spec

    @spec.setter
    def spec(self, value: EnvSpec | None) -> None:
        self._spec = plain_spec(value)

    @property
    def worlds(self) -> np.ndarray:
        """litelab's world records, `(num_envs,)`: what scripted experts and debugging tools read."""
        return self._worlds.worlds

    @property
    def envs(self) -> list[Member]:
        """The environments one by one, to look at."""
        return list(self._members)

    @property
    def started(self) -> bool:
        """Whether there was a first reset."""
        return self._started

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The generator of every environment's episode seeds."""
        return tuple(member.np_random for member in self._members)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seed that every environment's generator was made from."""
        return tuple(member.np_random_seed for member in self._members)

    def _begin(self, which: np.ndarray, rgb: np.ndarray | None, given: Sequence[int | None] | None = None) -> None:
        for i in which.tolist():
            chosen = None if given is None else given[i]
            self._seeds[i] = self._members[i].draw_episode_seed() if chosen is None else chosen
        self._elapsed[which] = 0
        self._worlds.begin(which, self._seeds[which].tolist(), rgb)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode everywhere.

        Args:
            seed: None to continue every environment's stream, a number for seeds `seed + i`, or a list of one for each.
            options: `reset_mask`, an (N,) bool array, restricts the reset to where it is true. `episode_seed`, an
                integer in [0, 2**31), plays the episode that had it as `episode_seed` in its info; `episode_seeds`
                holds one for each environment, or None. The streams stay where they are.

        Returns:
            Batched observations and infos.

        Raises:
            ValueError: The seed or an option is not allowed.
        """
        if self.closed:
            raise ClosedError("reset was called on a closed DMLabVectorEnv: make a new one.")
        n = self.num_envs
        named = reset_options(options, ("reset_mask", "episode_seed", "episode_seeds"))
        mask = given_options.reset_mask(named.get("reset_mask"), n)
        if mask is not None and not self._started and not mask.all():
            raise ResetNeeded("the first reset must be of all environments.")
        which = np.arange(n) if mask is None else np.flatnonzero(mask)
        seeds = given_options.reset_seeds(seed, n)
        given = given_options.episode_seeds(named, which, n)
        for i in which.tolist():
            if seeds[i] is not None or self._members[i]._np_random is None:
                self._members[i].begin_stream(seeds[i])
        rgb = self._target(redraw=len(which) < n)
        self._done[which] = True  # until the engine has begun the episodes
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
        """Play `frame_skip` frames everywhere.

        Args:
            actions: (N,) numbers of actions, or (N, 7) native ones.

        Returns:
            Observations, rewards (N,) float64, terminations, truncations (N,) bool, infos.

        Raises:
            InvalidAction: An action is outside the space.
            ResetNeeded: Before the first reset, or (DISABLED) after the end of an episode.
        """
        if self.closed:
            raise ClosedError("step was called on a closed DMLabVectorEnv.")
        if not self._started:
            raise ResetNeeded("step was called before the first reset: call reset first.")
        worlds = self._worlds
        native = self._native(actions)
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

    def _target(self, redraw: bool = False) -> np.ndarray | None:
        """Where to draw: a fresh array, or with copy=False always the same.

        `redraw` asks for the current view in it, which is drawn anew: what was handed out may hold something else by
            now.
        """
        if self._rgb is None or not self.copy:
            return self._rgb
        fresh = self._worlds.new_picture()
        if redraw:
            self._worlds.draw(fresh)
        return fresh

    def _native(self, actions: Any) -> np.ndarray:
        if isinstance(actions, list | tuple) and all(map(is_integer, actions)):
            actions = [int(action) for action in actions]  # NumPy would make floats of a mixture of its integers
        try:
            actions = np.asarray(actions)
        except ValueError:
            raise InvalidAction(f"actions must be an array of integers, got {actions!r}.") from None
        count = len(self.action_set)
        if actions.dtype.kind not in "iu":
            raise InvalidAction(f"actions must be integers, got an array of {actions.dtype}.")
        if count:
            if actions.shape != (self.num_envs,):
                raise InvalidAction(f"actions must have shape ({self.num_envs},), got {actions.shape}.")
            if actions.min() < 0 or actions.max() >= count:
                bad = actions[(actions < 0) | (actions >= count)][0]
                raise InvalidAction(
                    f"Action {bad} is outside the action space: {self.action_set.name} has actions 0 to {count - 1}."
                )
            return self.action_set.table[actions]
        if actions.shape != (self.num_envs, 7):
            raise InvalidAction(f"actions must have shape ({self.num_envs}, 7), got {actions.shape}.")
        if (actions < self._low).any() or (actions > self._high).any():
            raise InvalidAction(
                f"An action is outside the action space: native7 takes 7 integers from {list(NATIVE_LOW)} to "
                f"{list(NATIVE_HIGH)}."
            )
        return np.ascontiguousarray(actions, dtype=np.intc)

    def _final(
        self,
        which: np.ndarray,
        rgb: np.ndarray | None,
        resets: np.ndarray,
        frames: np.ndarray,
        events: dict[int, tuple[Any, ...]],
    ) -> dict[str, Any]:
        """`final_obs` and `final_info` of the environments whose episode has just ended."""
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

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method of every environment, or look at an attribute.

        Raises:
            AttributeError: There is none of that name.
        """
        found = [member.get_wrapper_attr(name) for member in self._members]
        return tuple(value(*args, **kwargs) if callable(value) else value for value in found)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Look at an attribute of every environment.

        Raises:
            AttributeError: There is none of that name.
        """
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of every environment.

        Args:
            name: Its name; options of the batch cannot be set.
            values: A list or tuple of one value for each, or one value for all.

        Raises:
            ValueError: There are more or fewer values than environments.
            AttributeError: It is an option, which the environments share.
        """
        each = list(values) if isinstance(values, list | tuple) else [values] * self.num_envs
        if len(each) != self.num_envs:
            raise ValueError(
                f"values has {len(each)} entries for num_envs={self.num_envs}: give one value or one for each "
                "environment."
            )
        for member, value in zip(self._members, each, strict=True):
            member.set_wrapper_attr(name, value)

    def picture(self, i: int) -> np.ndarray:
        """Environment `i`'s view, (height, width, 3) uint8 of `render_size`."""
        return self._worlds.picture(i, *self._render_size)

    def render(self) -> tuple[Any, ...]:
        """Every environment's view, (height, width, 3) uint8 of `render_size`; None each without a render mode."""
        return tuple(member.render() for member in self._members)

    def close_extras(self, **kwargs: Any) -> None:
        """End the threads."""
        self._worlds.pool.close()
