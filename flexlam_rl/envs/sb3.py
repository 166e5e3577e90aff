"""Batches of environments as Stable-Baselines3's `VecEnv` (needs the extra `sb3`)."""

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import VecEnv

from flexlam_rl.envs.wrappers import VectorInstructionTokens
from flexlam_rl.registration import DEFAULT_ID


def make_sb3(num_envs: int = 1, env_id: str = DEFAULT_ID, seed: int | None = None, **options: Any) -> "SB3VecEnv":
    """`gym.make_vec` for Stable-Baselines3, on either engine.

    Args:
        num_envs: Number of environments.
        env_id: A Gymnasium id of this package.
        seed: Seed of the first reset.
        **options: Options of `DMLabEnv` and of the batch.
    """
    import flexlam_rl  # noqa: F401  registers the ids

    options["autoreset_mode"] = AutoresetMode.SAME_STEP
    env = SB3VecEnv(gym.make_vec(env_id, num_envs=num_envs, **options))
    if seed is not None:
        env.seed(seed)
    return env


class SB3VecEnv(VecEnv):
    """A Gymnasium batch in SAME_STEP mode with Stable-Baselines3's interface.

    INSTR, which that library refuses as text, comes as the numbers of its words (`VectorInstructionTokens`). At the end of an
    episode `infos[i]` holds the last info, `terminal_observation` and `TimeLimit.truncated`.

    Args:
        env: The batch.

    Raises:
        ValueError: Its autoreset mode is another.
    """

    def __init__(self, env: VectorEnv) -> None:
        if env.metadata.get("autoreset_mode") is not AutoresetMode.SAME_STEP:
            raise ValueError(f"SB3VecEnv needs autoreset_mode='{AutoresetMode.SAME_STEP.value}', got {env.metadata.get('autoreset_mode')}.")
        space = env.single_observation_space
        if isinstance(space, spaces.Text) or (isinstance(space, spaces.Dict) and "INSTR" in space.spaces):
            env = VectorInstructionTokens(env)
        self.env = env
        self._actions: Any = None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> Any:
        """Begin episodes everywhere, with the seeds that `seed` set; returns the observations."""
        seeds = None if all(seed is None for seed in self._seeds) else list(self._seeds)
        observations, infos = self.env.reset(seed=seeds)  # type: ignore[arg-type]
        self.reset_infos = self._split(infos)
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Note the actions that `step_wait` plays."""
        self._actions = actions

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Play them: observations, rewards (N,) float32, dones (N,) bool, infos."""
        observations, rewards, terminations, truncations, batched = self.env.step(self._actions)
        dones = terminations | truncations
        infos = self._split({key: value for key, value in batched.items() if key.lstrip("_") not in ("final_obs", "final_info")})
        if dones.any():
            last = self._split(batched["final_info"])
            for i in np.flatnonzero(dones).tolist():
                infos[i] = last[i]
                infos[i]["terminal_observation"] = batched["final_obs"][i]
                infos[i]["TimeLimit.truncated"] = bool(truncations[i] and not terminations[i])
        return observations, rewards.astype(np.float32), dones, infos

    def _split(self, batched: dict[str, Any]) -> list[dict[str, Any]]:
        """Infos of a batch as one dictionary an environment."""
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for key, values in batched.items():
            if not key.startswith("_"):
                mask = batched["_" + key].tolist()
                for info, value, there in zip(infos, values.tolist(), mask, strict=True):
                    if there:
                        info[key] = value
        return infos

    def close(self) -> None:
        """Close the batch."""
        self.env.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """The view of every environment."""
        pictures: Any = self.env.render()
        return [None] * self.num_envs if pictures is None else list(pictures)

    def get_attr(self, attr_name: str, indices: int | Iterable[int] | None = None) -> list[Any]:
        """An attribute of every environment."""
        base: Any = self.env.unwrapped
        values = base.get_attr(attr_name)
        return [values[i] for i in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None) -> None:
        """Not possible: environments of a batch share their options.

        Raises:
            AttributeError: Always.
        """
        raise AttributeError(f"{attr_name!r} cannot be set: the environments of a batch share their options.")

    def env_method(self, method_name: str, *method_args: Any, indices: int | Iterable[int] | None = None, **method_kwargs: Any) -> list[Any]:
        """Results of a method of every environment."""
        base: Any = self.env.unwrapped
        values = base.call(method_name, *method_args, **method_kwargs)
        return [values[i] for i in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type, indices: int | Iterable[int] | None = None) -> list[bool]:
        """Whether environments are wrapped: never singly."""
        return [False for _ in self._get_indices(indices)]
