"""Seeds of episodes: the streams that they are drawn from, and checks of seeds that callers choose."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from flexlam_rl.utils.numbers import is_integer

EVALUATION_STREAM = (
    0x600D5EED  # the mixer seed that DMLab's users conventionally hold out for evaluation (reference A3)
)
SEED_LIMIT = 2**31  # episode seeds are drawn from [0, 2**31), which the real engine accepts


def episode_stream(seed: int, evaluation: bool) -> np.random.Generator:
    """Make a generator of episode seeds; training and evaluation get separate streams from the same seed."""
    key = (EVALUATION_STREAM,) if evaluation else ()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def episode_seed(given: Any) -> int:
    """Check an episode seed that a caller chose and return it as a Python int.

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
    """Find the episode seed per environment in the options of a reset; None means the next one of the stream.

    Args:
        options: `episode_seed`, one seed for all, or `episode_seeds`, one seed or None per environment.
        which: Numbers of the environments that are reset; the entries of others are ignored.
        num_envs: Number of environments.

    Raises:
        ValueError: An episode seed is not allowed, or there is not one entry per environment.
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
    """An environment whose `np_random` draws its episode seeds.

    The generator belongs to the training or the evaluation stream, whether a reset or reading `np_random` creates it.

    Attributes:
        evaluation: Whether seeds come from the evaluation stream.
    """

    evaluation: bool

    def begin_stream(self, seed: int | None = None) -> None:
        """Start the stream of episode seeds anew; None takes a seed from the operating system."""
        entropy: Any = np.random.SeedSequence().entropy if seed is None else seed
        self._np_random_seed = int(entropy)
        self._np_random = episode_stream(int(entropy), self.evaluation)

    def draw_episode_seed(self) -> int:
        """Draw the next episode seed."""
        return int(self.np_random.integers(SEED_LIMIT))

    @property
    def np_random(self) -> np.random.Generator:
        """The generator of episode seeds. Setting it changes `np_random_seed` to -1."""
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
        """The seed that the generator was made from; -1 for a generator that was set."""
        if self._np_random_seed is None:
            self.begin_stream()
        assert self._np_random_seed is not None
        return self._np_random_seed
