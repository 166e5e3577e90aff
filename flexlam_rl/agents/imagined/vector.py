"""A batch of N imagined environments, predicted in one pass of the world model, as `gym.make_vec` makes it.

Legend: `N` environments.
"""

import copy
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from flexlam_rl.agents.imagined.dream import Dream
from flexlam_rl.agents.imagined.env import ENGINE, ImaginedEnv
from flexlam_rl.agents.imagined.world import make_world
from flexlam_rl.envs.batch_options import reset_mask, reset_mode, reset_seeds
from flexlam_rl.envs.checks import flag, integer, one_of, reset_options
from flexlam_rl.envs.domains.dmlab.levels import DEFAULT_LEVEL
from flexlam_rl.envs.errors import ClosedError, ResetNeeded
from flexlam_rl.envs.seeds import SEED_LIMIT, episode_seeds, episode_stream
from flexlam_rl.utils.pictures import enlarged


class ImaginedVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """N imagined environments, equal to N times `ImaginedEnv` with the same seeds.

    Args:
        num_envs: Number of environments, N.
        model, starts: As for `ImaginedEnv`.
        autoreset_mode: NEXT_STEP, SAME_STEP or DISABLED.
        chunk, evaluation, render_mode, render_scale: As for `ImaginedEnv`.
        **options: The other options of `ImaginedEnv`.

    Raises:
        CheckpointError: A model cannot be read.
        ValueError: An option is not allowed; the message names it and what is allowed.
    """

    def __init__(
        self,
        num_envs: int,
        model: Any = None,
        starts: Any = DEFAULT_LEVEL,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        chunk: int | None = None,
        evaluation: bool = False,
        render_mode: str | None = None,
        render_scale: int = 4,
        **options: Any,
    ) -> None:
        self.num_envs = integer("num_envs", num_envs)
        one_of("render_mode", render_mode, (None, "rgb_array"))
        self.render_mode, self.render_scale = render_mode, integer("render_scale", render_scale)
        self.evaluation, self.autoreset_mode = flag("evaluation", evaluation), reset_mode(autoreset_mode)
        self.metadata = {**ImaginedEnv.metadata, "autoreset_mode": self.autoreset_mode}
        self.world = make_world(model, starts, evaluation=self.evaluation, **options)
        self._dream = Dream(self.world, self.num_envs, chunk)
        self.single_observation_space = self.world.observation_space
        self.single_action_space = self.world.controls.space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._generators: list[np.random.Generator | None] = [None] * self.num_envs
        self._seeds = np.full(self.num_envs, -1, np.int64)
        self._steps = np.zeros(self.num_envs, np.int64)
        self._over = np.ones(self.num_envs, np.bool_)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode in every environment.

        Args:
            seed: None to continue every environment's stream, a number for the seeds `seed + i`, or one per
                environment.
            options: `reset_mask`, an (N,) bool array, restricts the reset to where it is true. `episode_seed`, or
                `episode_seeds` with one (or None) per environment, plays the episodes that had these in their infos.

        Raises:
            ValueError: The seed or an option is not allowed.
            ResetNeeded: The first reset is not of all environments.
            ClosedError: The batch is closed.
        """
        if self.closed:
            raise ClosedError("reset was called on a closed ImaginedVectorEnv: make a new one.")
        n = self.num_envs
        named = reset_options(options, ("reset_mask", "episode_seed", "episode_seeds"))
        mask = reset_mask(named.get("reset_mask"), n)
        if mask is not None and (self._seeds[~mask] < 0).any():
            raise ResetNeeded("the first reset must be of all environments.")
        which = np.arange(n) if mask is None else np.flatnonzero(mask)
        seeds, given = reset_seeds(seed, n), episode_seeds(named, which, n)
        for i in which.tolist():
            if seeds[i] is not None or self._generators[i] is None:
                entropy: Any = np.random.SeedSequence().entropy if seeds[i] is None else seeds[i]
                self._generators[i] = episode_stream(int(entropy), self.evaluation)
        self._begin(which, given)
        return self._dream.frames.copy(), self._infos()

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Imagine the next frame of every environment.

        Raises:
            InvalidAction: An action is outside the space.
            ResetNeeded: No episode has begun, or, with DISABLED, one has ended.
            ClosedError: The batch is closed.
        """
        if self.closed:
            raise ClosedError("step was called on a closed ImaginedVectorEnv.")
        if (self._seeds < 0).any():
            raise ResetNeeded("step was called before the first reset: call reset first.")
        checked = self.world.controls.checked(actions, self.num_envs)
        ended = self._over.copy()
        if self.autoreset_mode is AutoresetMode.DISABLED and ended.any():
            where = np.flatnonzero(ended).tolist()
            raise ResetNeeded(f"step was called after the end of an episode: reset environments {where} first.")
        rewards, playing = np.zeros(self.num_envs), np.flatnonzero(~ended)
        if len(playing):
            rewards[playing] = self._dream.step(playing, checked[playing])
        self._steps[playing] += 1
        if ended.any():
            self._begin(np.flatnonzero(ended))
        truncated = (self._steps >= self.world.horizon) & ~ended
        self._over = truncated.copy()
        infos: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP and truncated.any():
            which = np.flatnonzero(truncated)
            for i in which.tolist():
                last = {"final_obs": self._dream.frames[i].copy(), "final_info": self._info(i)}
                infos = self._add_info(infos, last, i)
            self._begin(which)
        infos.update(self._infos())
        return self._dream.frames.copy(), rewards, np.zeros(self.num_envs, np.bool_), truncated, infos

    def render(self) -> Any:
        """Return every environment's newest frame, enlarged, or None without a render mode."""
        if self.render_mode is None:
            gym.logger.warn("render was called without a render mode: pass render_mode='rgb_array' to gym.make_vec.")
            return None
        if (self._seeds < 0).any():
            raise ResetNeeded("render was called before the first reset.")
        return tuple(enlarged(frame, self.render_scale) for frame in self._dream.frames)

    def __deepcopy__(self, memo: dict[int, Any]) -> "ImaginedVectorEnv":
        """Copy the batch; the copy continues as this one would."""
        other = object.__new__(type(self))
        memo[id(self)] = other
        for name, value in self.__dict__.items():
            other.__dict__[name] = value if name == "world" else copy.deepcopy(value, memo)
        return other

    def _begin(self, which: np.ndarray, given: Sequence[int | None] | None = None) -> None:
        for i in which.tolist():
            chosen = None if given is None else given[i]
            generator = self._generators[i]
            assert generator is not None
            self._seeds[i] = int(generator.integers(SEED_LIMIT)) if chosen is None else chosen
        self._dream.begin(which, self._seeds[which].tolist())
        self._steps[which], self._over[which] = 0, False

    def _info(self, i: int) -> dict[str, Any]:
        """Return the info of environment `i`, as `ImaginedEnv` gives it."""
        return {
            "engine": ENGINE,
            "level": self._dream.levels[i],
            "episode_seed": int(self._seeds[i]),
            "map_reset": False,
            "reward": self.world.rewards.name,
        }

    def _infos(self) -> dict[str, Any]:
        infos: dict[str, Any] = {}
        for i in range(self.num_envs):
            infos = self._add_info(infos, self._info(i), i)
        return infos


def make_vector(
    num_envs: int = 1,
    max_episode_steps: int | None = None,
    disable_env_checker: bool | None = None,
    **options: Any,
) -> ImaginedVectorEnv:
    """Make a batch, for `gym.make_vec`.

    Args:
        num_envs: Number of environments, N.
        max_episode_steps: None or -1, because imagined episodes have a limit of their own, `horizon`.
        disable_env_checker: True or None, because a batch has no checker.
        **options: Options of `ImaginedVectorEnv`.

    Raises:
        ValueError: An option is not allowed; the message names it.
    """
    if max_episode_steps not in (None, -1):
        raise ValueError(f"max_episode_steps is {max_episode_steps}; imagined episodes end after `horizon` steps.")
    if disable_env_checker is not None and not flag("disable_env_checker", disable_env_checker):
        raise ValueError(f"disable_env_checker must be None or True for a batch, got {disable_env_checker!r}.")
    return ImaginedVectorEnv(num_envs, **options)
