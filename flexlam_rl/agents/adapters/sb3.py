"""Batches of environments as Stable-Baselines3's `VecEnv` (needs the extra `sb3`)."""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.vec_env import VecEnv

from flexlam_rl.envs.batch_options import reset_mode
from flexlam_rl.envs.registration import DEFAULT_ID
from flexlam_rl.envs.wrappers.instructions import VectorInstructionTokens
from flexlam_rl.utils.numbers import is_integer

_OF_GYMNASIUM = ("vectorization_mode", "vector_kwargs", "wrappers")
_LATEST = ("final_obs", "final_info")


def make_sb3(num_envs: int = 1, env_id: str = DEFAULT_ID, seed: int | None = None, **options: Any) -> "SB3VecEnv":
    """Make a batch of environments with `gym.make_vec` and wrap it for Stable-Baselines3, on either engine.

    Args:
        num_envs: Number of environments.
        env_id: A Gymnasium id of this package.
        seed: Seed of the first reset.
        **options: Options of `DMLabEnv` and of the batch.

    Returns:
        The batch, not yet reset.

    Raises:
        ValueError: An option is not allowed, or a batch for Stable-Baselines3 cannot have it.
    """
    import flexlam_rl  # noqa: F401  registers the ids

    for name in _OF_GYMNASIUM:
        if name in options:
            raise ValueError(
                f"make_sb3 takes no {name}, got {options[name]!r}: use Stable-Baselines3's make_vec_env for single "
                "environments."
            )
    same = AutoresetMode.SAME_STEP.value
    if reset_mode(options.setdefault("autoreset_mode", same)) is not AutoresetMode.SAME_STEP:
        raise ValueError(f"autoreset_mode must be {same!r} for Stable-Baselines3, got {options['autoreset_mode']!r}.")
    _check_copy(options.get("copy", True))
    env = SB3VecEnv(gym.make_vec(env_id, num_envs=num_envs, **options))
    if seed is not None:
        env.seed(seed)
    return env


def _check_copy(copy: Any) -> None:
    if copy is False:
        raise ValueError(
            "copy must be True for Stable-Baselines3, got False: it keeps an observation until after the next step."
        )


class SB3VecEnv(VecEnv):
    """A Gymnasium batch in SAME_STEP mode with Stable-Baselines3's interface.

    Stable-Baselines3 refuses text, so INSTR is given as the numbers of its words (`VectorInstructionTokens`). As in its
    `DummyVecEnv`, every info holds `TimeLimit.truncated`. At the end of an episode, `infos[i]` is the episode's last
    info with `terminal_observation`, and `reset_infos[i]` is the first info of the next episode.

    Args:
        env: The batch.

    Raises:
        ValueError: The batch has another autoreset mode, or it overwrites its observations (copy=False).
    """

    def __init__(self, env: VectorEnv) -> None:
        if env.metadata.get("autoreset_mode") is not AutoresetMode.SAME_STEP:
            raise ValueError(
                f"SB3VecEnv needs autoreset_mode='{AutoresetMode.SAME_STEP.value}', got "
                f"{env.metadata.get('autoreset_mode')}."
            )
        _check_copy(getattr(env.unwrapped, "copy", True))
        space = env.single_observation_space
        if isinstance(space, spaces.Text) or (isinstance(space, spaces.Dict) and "INSTR" in space.spaces):
            env = VectorInstructionTokens(env)
        self.env = env
        self._actions: Any = None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self.metadata = {name: value for name, value in env.metadata.items() if name != "autoreset_mode"}

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Set the seeds of the next reset to `seed + i`, or to random ones for None, and return them.

        Raises:
            ValueError: The seed is neither None nor an integer of at least 0.
        """
        if seed is not None and (not is_integer(seed) or seed < 0):
            raise ValueError(f"seed must be None or an integer of at least 0, got {seed!r}.")
        return super().seed(None if seed is None else int(seed))

    def reset(self) -> Any:
        """Begin an episode in every environment, with the seeds and options from `seed` and `set_options`.

        Returns:
            The first observations.
        """
        seeds = None if all(seed is None for seed in self._seeds) else list(self._seeds)
        observations, infos = self.env.reset(seed=seeds, options=self._batched_options())  # type: ignore[arg-type]
        self.reset_infos = self._split(infos)
        self._reset_seeds()
        self._reset_options()
        return observations

    def _batched_options(self) -> dict[str, Any] | None:
        """Merge the options of all environments into those of the batch."""
        each = self._options
        if not isinstance(each, list | tuple) or len(each) != self.num_envs:
            raise ValueError(
                f"options must be a dictionary, or a list of {self.num_envs} (one for each environment), got {each!r}."
            )
        if all(options == each[0] for options in each):
            return dict(each[0]) if each[0] else None
        names = {name for options in each for name in options}
        if names != {"episode_seed"}:
            raise ValueError(
                f"options that differ between environments must hold nothing but 'episode_seed', got {each!r}."
            )
        return {"episode_seeds": [options.get("episode_seed") for options in each]}

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait` to play."""
        self._actions = np.array(actions)

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Play the actions that `step_async` was given.

        Returns:
            Observations, rewards (N,) float32, dones (N,) bool, and infos.

        Raises:
            RuntimeError: `step_async` was not called before.
        """
        if self._actions is None:
            raise RuntimeError("step_wait was called before step_async: there are no actions to play.")
        observations, rewards, terminations, truncations, batched = self.env.step(self._actions)
        dones = terminations | truncations
        infos = self._split({key: value for key, value in batched.items() if key.lstrip("_") not in _LATEST})
        if dones.any():
            last = self._split(batched["final_info"])
            for i in np.flatnonzero(dones).tolist():
                self.reset_infos[i], infos[i] = infos[i], last[i]
                infos[i]["terminal_observation"] = batched["final_obs"][i]
        for info, terminated, truncated in zip(infos, terminations.tolist(), truncations.tolist(), strict=True):
            info["TimeLimit.truncated"] = truncated and not terminated
        return observations, rewards.astype(np.float32), dones, infos

    def _split(self, batched: dict[str, Any]) -> list[dict[str, Any]]:
        """Split the infos of a batch into one dictionary per environment."""
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for key, values in batched.items():
            if not key.startswith("_"):
                each = self._split(values) if isinstance(values, dict) else _items(values)
                for info, value, there in zip(infos, each, batched["_" + key].tolist(), strict=True):
                    if there:
                        info[key] = value
        return infos

    def close(self) -> None:
        """Close the batch; may be called again."""
        self.env.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Return the view of every environment, or None for each without a render mode."""
        if self.render_mode != "rgb_array":
            warnings.warn(f"The render mode is {self.render_mode}: only 'rgb_array' gives pictures.", stacklevel=2)
            return [None] * self.num_envs
        pictures: Any = self.env.render()
        return list(pictures)

    def _which(self, indices: Any) -> list[int]:
        """Return the numbers of the environments that `indices` names: None for all, one number, or several."""
        if indices is None:
            return list(range(self.num_envs))
        several = [indices] if is_integer(indices) else list(indices)
        for i in several:
            if not is_integer(i) or not -self.num_envs <= i < self.num_envs:
                raise IndexError(f"indices must be integers from {-self.num_envs} to {self.num_envs - 1}, got {i!r}.")
        return [int(i) % self.num_envs for i in several]

    def _envs(self) -> Sequence[Any] | None:
        """Return the single environments, or None where they run in processes."""
        return getattr(self.env.unwrapped, "envs", None)

    def get_attr(self, attr_name: str, indices: int | Iterable[int] | None = None) -> list[Any]:
        """Return an attribute of every environment, or of those that `indices` names.

        Raises:
            AttributeError: The environments have no attribute of that name.
        """
        which, envs = self._which(indices), self._envs()
        if attr_name in ("observation_space", "action_space"):
            return [getattr(self.env, f"single_{attr_name}") for _ in which]
        if envs is not None:
            return [envs[i].get_wrapper_attr(attr_name) for i in which]
        base: Any = self.env.unwrapped
        values = base.get_attr(attr_name)
        return [values[i] for i in which]

    def set_attr(self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None) -> None:
        """Set an attribute of every environment, or of those that `indices` names.

        Raises:
            AttributeError: The attribute is an option, which all environments of a batch share.
        """
        which, envs = self._which(indices), self._envs()
        if envs is not None:
            for i in which:
                envs[i].set_wrapper_attr(attr_name, value)
            return
        base: Any = self.env.unwrapped
        values = [value] * self.num_envs if len(set(which)) == self.num_envs else list(base.get_attr(attr_name))
        for i in which:
            values[i] = value
        base.set_attr(attr_name, values)

    def env_method(
        self, method_name: str, *method_args: Any, indices: int | Iterable[int] | None = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of every environment, or of those that `indices` names, and return the results.

        Raises:
            AttributeError: The environments have no method of that name.
            ValueError: The environments run in processes, and `indices` does not name all of them.
        """
        which, envs = self._which(indices), self._envs()
        if envs is not None:
            return [envs[i].get_wrapper_attr(method_name)(*method_args, **method_kwargs) for i in which]
        if method_name != "render" and sorted(which) != list(range(self.num_envs)):
            raise ValueError(
                f"indices must name all environments for {method_name!r}, got {indices!r}: processes are called "
                "together."
            )
        base: Any = self.env.unwrapped
        values = base.call(method_name, *method_args, **method_kwargs)
        return [values[i] for i in which]

    def env_is_wrapped(self, wrapper_class: type, indices: int | Iterable[int] | None = None) -> list[bool]:
        """Return whether each environment is wrapped; the only wrapper that a batch knows is the time limit."""
        limited = getattr(self.env.unwrapped, "max_episode_steps", None) is not None
        return [limited and issubclass(TimeLimit, wrapper_class) for _ in self._which(indices)]


def _items(values: Any) -> Sequence[Any]:
    """Return the entries of an array of infos, one per environment, with numbers in Python's own types."""
    return values.tolist() if values.ndim == 1 else list(values.copy())
