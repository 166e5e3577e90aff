"""One environment of a batch, as the batch's `envs`, `get_attr`, `set_attr` and `call` see it."""

import copy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec as GymSpec

from flexlam_rl.envs.checks import reset_options
from flexlam_rl.envs.domains.dmlab.spec_attributes import SpecAttributes
from flexlam_rl.envs.errors import ResetNeeded
from flexlam_rl.envs.seeds import SeededEnv

_OF_BATCHES = ("num_envs", "vectorization_mode", "autoreset_mode", "copy", "threads", "context", "max_episode_steps")
_SHARED = frozenset(
    (
        *("action_set", "env_spec", "engine", "evaluation", "frame_skip", "hud", "textures", "level", "worlds"),
        *("render_mode", "metadata", "spec", "observation_space", "action_space"),
    )
)


class Member(SpecAttributes, SeededEnv):
    """One environment of a `DMLabVectorEnv`, with its own stream of seeds and the batch's options.

    It can be reset and rendered alone, but is stepped only as part of its batch. New attributes can be set on it;
    options cannot.

    Args:
        batch: The batch.
        i: Number of the environment in the batch.
    """

    def __init__(self, batch: Any, i: int) -> None:
        options = {name: getattr(batch, name) for name in ("action_set", "env_spec", "evaluation", "render_mode")}
        options["level"] = batch.levels[i]
        options["metadata"] = {name: value for name, value in batch.metadata.items() if name != "autoreset_mode"}
        options["observation_space"] = batch.single_observation_space
        options["action_space"] = batch.single_action_space
        self.__dict__.update(options, _batch=batch, _i=i)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _SHARED:
            raise AttributeError(f"{name!r} cannot be set: the environments of a batch share their options.")
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"The environments of a DMLabVectorEnv have no attribute {name!r}.")

    @property
    def worlds(self) -> np.ndarray:
        """litelab's world record, (1,)."""
        return self._batch.worlds[self._i : self._i + 1]

    @property
    def spec(self) -> GymSpec | None:  # type: ignore[override]
        """Gymnasium's specification that makes this environment as a single one; None if the batch has none."""
        if self._batch.spec is None:
            return None
        spec = copy.deepcopy(self._batch.spec)
        spec.max_episode_steps = self._batch.max_episode_steps
        spec.kwargs = {name: value for name, value in spec.kwargs.items() if name not in _OF_BATCHES} | {
            "level": self.level
        }
        return spec

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in this environment only; arguments and results are those of `DMLabEnv.reset`."""
        given = reset_options(options, ("episode_seed",))
        mask = np.arange(self._batch.num_envs) == self._i
        seeds = [seed if chosen else None for chosen in mask]
        observations, infos = self._batch.reset(seed=seeds, options={**given, "reset_mask": mask})
        if isinstance(observations, dict):
            observation: Any = {name: values[self._i] for name, values in observations.items()}
        else:
            observation = observations[self._i]
        return observation, {name: infos[name].tolist()[self._i] for name in infos if not name.startswith("_")}

    def step(self, action: Any) -> Any:
        """Raise an error, because a batch is stepped as a whole.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(
            "An environment of a DMLabVectorEnv cannot be stepped alone: step the batch, or use gym.make."
        )

    def render(self) -> Any:
        """The player's view, (height, width, 3) uint8 of `render_size`; None without a render mode."""
        if self.render_mode is None:
            gym.logger.warn("render was called without a render mode: pass render_mode='rgb_array' to gym.make_vec.")
            return None
        if not self._batch.started:
            raise ResetNeeded("render was called before the first reset.")
        return self._batch.picture(self._i)
