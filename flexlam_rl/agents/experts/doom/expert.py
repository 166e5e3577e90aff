"""The scripted expert of ViZDoom, with Stable-Baselines3's `predict`.

Legend: `N` environments.
"""

from typing import Any

import numpy as np

from flexlam_rl.agents.experts.doom.decide import Memory, decide
from flexlam_rl.agents.policy.rows import begun
from flexlam_rl.envs.base import base_env
from flexlam_rl.envs.domains.vizdoom.actions import LABELS
from flexlam_rl.envs.domains.vizdoom.env import DoomEnv
from flexlam_rl.utils.numbers import real, whole

_SLIPS = 0.05  # share of random actions at temperature 1


class DoomExpert:
    """Plays all tasks of ViZDoom by what is in view; it looks at no frames.

    Args:
        env: An environment or a batch of this process, before its first reset.
        temperature: Of the noise: at 1, one action of twenty is a random one; 0 is none.
        seed: Of its randomness; with the seeds that `begin_episodes` is told, it determines every action.

    Raises:
        ValueError: The environment is not ViZDoom's, or lies in another process.
    """

    def __init__(self, env: Any, temperature: float = 1.0, seed: int = 0) -> None:
        base = base_env(env)
        self._single = not hasattr(base, "num_envs")
        members = [env] if self._single else getattr(base, "envs", [])
        self._envs = [base_env(member) for member in members]
        if not self._envs or not all(isinstance(member, DoomEnv) for member in self._envs):
            raise ValueError(
                f"The scripted expert reads the state of ViZDoom's engine and cannot play {base}: expected an "
                "environment or a batch in this process."
            )
        for member in self._envs:
            member.watch()
        self._slips = min(1.0, _SLIPS * real(temperature, "temperature"))
        self._seed = whole(seed, "seed")
        self._memories = [self._memory(1, i) for i in range(len(self._envs))]

    def _memory(self, kind: int, number: int) -> Memory:
        return Memory(random=np.random.default_rng([self._seed, 2 + kind, number]))

    def begin_episodes(self, which: np.ndarray, seeds: np.ndarray) -> None:
        """Environments `which` begin episodes of these seeds."""
        index, numbers = begun(which, seeds, len(self._envs))
        for i, seed in zip(index.tolist(), numbers, strict=True):
            self._memories[i] = self._memory(0, seed)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """Actions (N,), a bare one for a single environment; `state` is passed through."""
        actions = np.array([self._act(env, memory) for env, memory in zip(self._envs, self._memories, strict=True)])
        return (actions[0] if self._single else actions), state

    def _act(self, env: DoomEnv, memory: Memory) -> int:
        chosen = decide(env, memory)
        return int(memory.random.integers(len(LABELS))) if memory.random.random() < self._slips else chosen
