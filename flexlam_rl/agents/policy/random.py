"""The uniformly random policy."""

from typing import Any

import numpy as np

from flexlam_rl.agents.policy.draws import generators_of, states_of
from flexlam_rl.agents.policy.rows import begun
from flexlam_rl.envs.action_spaces import action_spec_of
from flexlam_rl.envs.action_values import random_actions
from flexlam_rl.envs.base import action_count, base_env, batch_size, single_space
from flexlam_rl.utils.numbers import whole

_BLOCK = 1024  # actions drawn at once


class RandomPolicy:
    """Plays uniformly random actions of any space that `action_spec_of` describes. Continuous ones without bounds are
    drawn as by Gymnasium's `Box.sample`.

    Args:
        env: A (wrapped) environment or batch, whose single action space gives the actions.
        seed: Seed that determines every action, together with the episode seeds given to `begin_episodes`, or, without
            these, with the order of episodes.
    """

    def __init__(self, env: Any, seed: int = 0) -> None:
        base = base_env(env)
        self._count = action_count(env)
        self._seed = seed = whole(seed, "seed")
        self._single = not hasattr(base, "num_envs")
        self._num_envs = batch_size(env)
        self._generators = [np.random.default_rng([seed, 1, i]) for i in range(self._num_envs)]
        space = single_space(env, "action_space")
        assert space is not None
        self._space = action_spec_of(space)
        shape = () if self._count else self._space.shape
        self._drawn = np.zeros((self._num_envs, _BLOCK, *shape), self._space.dtype)
        self._at = np.full(self._num_envs, _BLOCK)

    def begin_episodes(self, which: np.ndarray, seeds: np.ndarray) -> None:
        """Note that the environments `which` begin episodes of these seeds."""
        index, numbers = begun(which, seeds, self._num_envs)
        for i, seed in zip(index.tolist(), numbers, strict=True):
            self._generators[i] = np.random.default_rng([self._seed, 0, seed])
            self._at[i] = _BLOCK

    def snapshot(self, state: Any) -> dict[str, Any]:
        """Return everything that later actions depend on."""
        return {"generators": states_of(self._generators), "drawn": self._drawn, "at": self._at}

    def restore(self, saved: dict[str, Any]) -> None:
        """Continue from a snapshot of the same number of environments."""
        self._generators = generators_of(saved["generators"])
        self._drawn[:], self._at[:] = saved["drawn"], saved["at"]

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """Choose actions (N, ...) of the environment's space, without N for a single environment; `state` is returned
        unchanged.
        """
        for i in np.flatnonzero(self._at == _BLOCK).tolist():
            self._drawn[i] = self._draw(self._generators[i])
            self._at[i] = 0
        actions = self._drawn[np.arange(self._num_envs), self._at]
        self._at += 1
        images = observation.get("RGB_INTERLEAVED", 0) if isinstance(observation, dict) else observation
        # a single environment that Stable-Baselines3 wrapped as a batch of one needs a batch of one action
        return (actions[0] if self._single and np.ndim(images) != 4 else actions), state

    def _draw(self, generator: np.random.Generator) -> np.ndarray:
        """Draw the next actions of one environment, (_BLOCK, ...)."""
        if self._count:
            return generator.integers(self._count, size=_BLOCK)
        return random_actions(self._space, _BLOCK, generator)
