"""The scripted expert of ViZDoom, with Stable-Baselines3's `predict`.

Legend: `N` environments.
"""

from typing import Any

import numpy as np

from flexlam_rl.agents.experts.doom.decide import Memory, decide
from flexlam_rl.envs.base import base_env
from flexlam_rl.envs.domains.vizdoom.actions import LABELS
from flexlam_rl.envs.domains.vizdoom.env import DoomEnv
from flexlam_rl.utils.numbers import real, whole

_SLIPS = 0.05  # share of random actions at temperature 1


class DoomExpert:
    """Plays all tasks of ViZDoom by what the engine lists as in view; it looks at no frames.

    Args:
        env: An environment or a batch of this process, before its first reset.
        temperature: Strength of the noise: at 1, one of twenty actions is random; at 0, none is.
        seed: Seed of its randomness; with the seeds of the episodes it determines every action.

    Raises:
        ValueError: The environment is not one of ViZDoom, or it runs in another process.
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
        self._memories = [Memory() for _ in self._envs]
        self._begun = [(0, 0) for _ in self._envs]

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """Choose actions (N,), or one number for a single environment; `state` is returned unchanged."""
        actions = np.array([self._act(i, env) for i, env in enumerate(self._envs)])
        return (actions[0] if self._single else actions), state

    def _act(self, i: int, env: DoomEnv) -> int:
        if self._begun[i] != env.begun:  # a new episode: nothing is remembered of it
            self._begun[i] = env.begun
            self._memories[i] = Memory(random=np.random.default_rng([self._seed, 2, env.begun[1]]))
        memory = self._memories[i]
        chosen = decide(env, memory)
        return int(memory.random.integers(len(LABELS))) if memory.random.random() < self._slips else chosen
