"""Bursts of random steps, after which the expert carries on: video that shows how one comes back.

Legend: `n` environments.
"""

from typing import Any

import numpy as np

from flexlam_rl.agents.policy.random import RandomPolicy
from flexlam_rl.agents.policy.rows import begun
from flexlam_rl.envs.base import action_count, batch_size
from flexlam_rl.utils.numbers import real

SHORTEST, LONGEST = 5, 20  # steps of a burst, uniformly drawn
MOST = 0.9  # share of random steps: the expert has a step between two bursts


class Perturbed:
    """Lets an expert play, and now and then chance.

    The expert is asked at each step, also during a burst, and told by `took` (where it has that method) what was done
    instead: it carries on from where the burst has led. When bursts begin, how long they are and what they do depends
    on the seed and on the episode's seed alone.

    Args:
        expert: Who plays otherwise.
        env: What is played.
        share: Expected share of random steps, above 0 and at most 0.9.
        seed: Of the bursts.

    Attributes:
        chose: (n,) bool, whether the expert chose the last actions.

    Raises:
        ValueError: The share is none, or the expert notes its actions by number and the actions have none.
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
        """Environments `which` begin episodes of these seeds."""
        self._tell("begin_episodes", which, seeds)
        self._chance.begin_episodes(which, seeds)
        index, numbers = begun(which, seeds, self._n)
        for i, number in zip(index.tolist(), numbers, strict=True):
            self._generators[i] = np.random.default_rng([self._seed, 2, number])
            self._left[i] = self._gap(self._generators[i])
            self.chose[i] = True

    def map_restarted(self, which: np.ndarray) -> None:
        """Tell the expert of map restarts."""
        self._tell("map_restarted", which)

    def end_episodes(self, which: np.ndarray) -> None:
        """Tell the expert of ends."""
        self._tell("end_episodes", which)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """Actions (n, ...), those of a burst in the place of the expert's, and the expert's state."""
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
        """Draw for how many steps the expert chooses, at least one."""
        mean = (SHORTEST + LONGEST) / 2 * (1 - self.share) / self.share
        return int(generator.geometric(min(1.0, 1 / mean)))

    def _tell(self, name: str, *arguments: np.ndarray) -> None:
        if hasattr(self.expert, name):
            getattr(self.expert, name)(*arguments)
