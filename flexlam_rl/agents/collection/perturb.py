"""Bursts of random steps, after which the expert carries on: the video then shows how to recover.

Legend: `n` environments.
"""

from typing import Any

import numpy as np

from flexlam_rl.agents.policy.random import RandomPolicy
from flexlam_rl.agents.policy.rows import begun
from flexlam_rl.envs.base import action_count, batch_size
from flexlam_rl.utils.numbers import real

SHORTEST, LONGEST = 5, 20  # steps of a burst, drawn uniformly
MOST = 0.9  # largest share of random steps: the expert has at least one step between two bursts


class Perturbed:
    """An expert whose play is interrupted by bursts of random actions.

    The expert is asked at each step, also during a burst. Its method `took`, where it has one, is told what was done
    instead, so that the expert carries on from where the burst has led. The start, the length and the actions of bursts
    depend only on `seed` and on the episode's seed.

    Args:
        expert: The policy that plays between bursts.
        env: The environment or batch that is played.
        share: Expected share of random steps, above 0 and at most 0.9.
        seed: Seed of the bursts.

    Attributes:
        chose: (n,) bool, whether the expert chose the last actions.

    Raises:
        ValueError: The share is out of range, or the expert notes its actions by number and the actions have no
            numbers.
    """

    def __init__(self, expert: Any, env: Any, share: float, seed: int = 0) -> None:
        self.share = real(share, "perturb")
        if not 0 < self.share <= MOST:
            raise ValueError(f"perturb is {self.share}: expected a share of random steps, above 0 to {MOST}.")
        self.expert, self._seed, self._n = expert, seed, batch_size(env)
        self._told = hasattr(expert, "took")
        if self._told and not action_count(env):
            raise ValueError(
                f"{type(expert).__name__} notes its actions by number, which random ones of an action set that is not "
                "discrete do not have: leave perturb out, or use dreamer15."
            )
        self._chance = RandomPolicy(env, seed)
        self._generators = [np.random.default_rng([seed, 3, i]) for i in range(self._n)]
        self._left = np.array([self._gap(generator) for generator in self._generators])
        self.chose = np.ones(self._n, np.bool_)

    def begin_episodes(self, which: np.ndarray, seeds: np.ndarray) -> None:
        """Note that the environments `which` begin episodes of these seeds."""
        self._tell("begin_episodes", which, seeds)
        self._chance.begin_episodes(which, seeds)
        index, numbers = begun(which, seeds, self._n)
        for i, number in zip(index.tolist(), numbers, strict=True):
            self._generators[i] = np.random.default_rng([self._seed, 2, number])
            self._left[i] = self._gap(self._generators[i])
            self.chose[i] = True

    def map_restarted(self, which: np.ndarray) -> None:
        """Tell the expert in which environments the map restarted."""
        self._tell("map_restarted", which)

    def end_episodes(self, which: np.ndarray) -> None:
        """Tell the expert in which environments episodes ended."""
        self._tell("end_episodes", which)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """Choose actions (n, ...): random ones during a burst, the expert's otherwise.

        Returns:
            The actions, and the expert's state.
        """
        for i in np.flatnonzero(self._left == 0).tolist():
            self.chose[i] = not self.chose[i]
            generator = self._generators[i]
            self._left[i] = (
                self._gap(generator) if self.chose[i] else generator.integers(SHORTEST, LONGEST, endpoint=True)
            )
        self._left -= 1
        own, state = self.expert.predict(observation, state, episode_start, deterministic)
        chance = np.asarray(self._chance.predict(observation)[0])
        chance = chance.reshape(self._n, -1) if chance.ndim > 1 else chance.reshape(self._n)
        actions = np.array(own).reshape(chance.shape)
        actions[~self.chose] = chance[~self.chose]
        if self._told and not self.chose.all():
            self.expert.took(actions)
        return actions, state

    def _gap(self, generator: np.random.Generator) -> int:
        """Draw the number of steps until the next burst, at least one."""
        mean = (SHORTEST + LONGEST) / 2 * (1 - self.share) / self.share
        return int(generator.geometric(min(1.0, 1 / mean)))

    def _tell(self, name: str, *arguments: np.ndarray) -> None:
        if hasattr(self.expert, name):
            getattr(self.expert, name)(*arguments)
