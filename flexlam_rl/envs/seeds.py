"""Seeds of episodes: the streams that they are drawn from, and those that a caller names."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from flexlam_rl.utils.numbers import is_integer

EVALUATION_STREAM = 0x600D5EED  # the mixer seed of held-out evaluation, by convention of DMLab's users (reference A3)
SEED_LIMIT = 2**31  # episode seeds are drawn from [0, 2**31): what a real engine takes


def episode_stream(seed: int, evaluation: bool) -> np.random.Generator:
    """Make the generator of episode seeds; training and evaluation have separate branches of one seed."""
    key = (EVALUATION_STREAM,) if evaluation else ()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def episode_seed(given: Any) -> int:
    """Check an episode seed that a caller names.

    Raises:
        ValueError: It is not an integer in [0, 2**31).
    """
    if not is_integer(given) or not 0 <= given < SEED_LIMIT:
        raise ValueError(f"options['episode_seed'] must be an integer from 0 to {SEED_LIMIT - 1}, got {given!r}.")
    return int(given)


def stream_seed(given: Any) -> int | None:
    """Check the `seed` of a reset.

    Raises:
        ValueError: It is neither None nor an integer of at least 0.
    """
    if given is None:
        return None
    if not is_integer(given) or given < 0:
        raise ValueError(f"seed must be None or an integer of at least 0, got {given!r}.")
    return int(given)


def episode_seeds(options: Mapping[str, Any], which: np.ndarray, num_envs: int) -> list[int | None]:
    """Find the episode seed that the options of a reset name for every environment, None where the stream gives it.

    Args:
        options: `episode_seed`, one for all, or `episode_seeds`, one (or None) for each.
        which: The environments that are reset; the entries of others are not looked at.
        num_envs: Number of environments.

    Raises:
        ValueError: An episode seed is not allowed, or there are more or fewer than environments.
    """
    one, each = options.get("episode_seed"), options.get("episode_seeds")
    if each is None:
        return [None if one is None else episode_seed(one)] * num_envs
    if one is not None:
        raise ValueError("options must hold 'episode_seed' or 'episode_seeds', not both.")
    if not isinstance(each, Sequence | np.ndarray) or np.ndim(each) == 0 or len(each) != num_envs:
        held = f"has {len(each)} entries" if hasattr(each, "__len__") else f"is {each!r}"
        raise ValueError(f"options['episode_seeds'] {held} for num_envs={num_envs}: give one for each environment.")
    seeds: list[int | None] = [None] * num_envs
    for i in which.tolist():
        seeds[i] = None if each[i] is None else episode_seed(each[i])
    return seeds


class SeededEnv(gym.Env[Any, Any]):
    """An environment whose generator draws its episode seeds.

    The generator is of the training or the evaluation branch whoever asks for it first, a reset or a look at
    `np_random`.

    Attributes:
        evaluation: Whether the seeds are those of the evaluation branch.
    """

    evaluation: bool

    def begin_stream(self, seed: int | None = None) -> None:
        """Begin the stream of episode seeds anew, from a seed of the operating system for None."""
        entropy: Any = np.random.SeedSequence().entropy if seed is None else seed
        self._np_random_seed = int(entropy)
        self._np_random = episode_stream(int(entropy), self.evaluation)

    def draw_episode_seed(self) -> int:
        """Draw the next episode seed."""
        return int(self.np_random.integers(SEED_LIMIT))

    @property
    def np_random(self) -> np.random.Generator:
        """The generator of episode seeds; setting it makes `np_random_seed` -1."""
        if self._np_random is None:
            self.begin_stream()
        assert self._np_random is not None
        return self._np_random

    @np_random.setter
    def np_random(self, value: np.random.Generator) -> None:
        if not isinstance(value, np.random.Generator):
            raise ValueError(f"np_random must be a numpy.random.Generator, got {value!r}.")
        self._np_random = value
        self._np_random_seed = -1

    @property
    def np_random_seed(self) -> int:
        """The seed that the generator was made from, -1 for one that was set."""
        if self._np_random_seed is None:
            self.begin_stream()
        assert self._np_random_seed is not None
        return self._np_random_seed
