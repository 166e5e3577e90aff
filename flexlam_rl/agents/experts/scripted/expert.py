"""The scripted experts as one object with Stable-Baselines3's `predict`."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from flexlam_rl.agents.experts.scripted import memory as mem
from flexlam_rl.agents.experts.scripted.decide import decide_range
from flexlam_rl.envs.base import base_env
from flexlam_rl.envs.domains.dmlab.actions import action_set as find_action_set


class ScriptedExpert:
    """Plays every level of litelab from what it has seen in the episode.

    Args:
        env: A litelab environment: single, wrapped, the native batch, or Stable-Baselines3's view of one of these. Its
            action set must be dreamer15 or native7.
        temperature: Strength of the noise: 0 plays without slips; 1 adds noise to aims and takes another action now and
            then, as a person would.
        seed: Seed of that noise; with the environment's seeds it determines every action.
        memory: Number of steps for which it remembers what it saw; None for the whole episode.

    Raises:
        ValueError: The environment is not litelab's, its action set cannot express the expert's actions, or a number is
            below 0.
    """

    kind: ClassVar[str] = "scripted"
    plays: ClassVar[str] = "dreamer15"
    record: ClassVar[np.dtype] = mem.MEMORY
    decide: ClassVar[Callable[..., None]] = staticmethod(decide_range)

    def __init__(self, env: Any, temperature: float = 1.0, seed: int = 0, memory: int | None = None) -> None:
        base = base_env(env)
        worlds = getattr(base, "worlds", None)
        if worlds is None:
            raise ValueError(
                f"The {self.kind} expert reads litelab's worlds, which {type(base).__name__} does not have: use "
                "engine='litelab'."
            )
        self.worlds: np.ndarray = worlds
        name = base.action_set.name
        if name not in (self.plays, "native7"):
            raise ValueError(
                f"the {self.kind} expert plays with action_set {self.plays!r} or 'native7'; this environment has "
                f"{name!r}."
            )
        self.table = find_action_set(self.plays).table if name == "native7" else None
        if temperature < 0:
            raise ValueError(f"temperature is {temperature}; expected 0 or more.")
        if memory is not None and memory < 0:
            raise ValueError(f"memory is {memory}; expected 0 steps or more.")
        self.salt = seed
        self.memories = np.zeros(len(self.worlds), self.record)
        self.memories["temperature"] = temperature
        if "horizon" in self.record.fields:  # type: ignore[operator]
            self.memories["horizon"] = -1 if memory is None else memory
        self.memories["frame"] = 1 << 30
        self.chosen = np.zeros(len(self.worlds), np.int64)

    def snapshot(self, state: Any) -> dict[str, Any]:
        """Return everything that later actions depend on."""
        return {"memories": self.memories.view(np.uint8).reshape(len(self.memories), -1), "chosen": self.chosen}

    def restore(self, saved: dict[str, Any]) -> None:
        """Continue from a snapshot.

        Raises:
            ValueError: The snapshot is of another number of environments.
        """
        memories, own = saved["memories"], self.memories.view(np.uint8).reshape(len(self.memories), -1)
        if memories.shape != own.shape:
            raise ValueError(f"The saved memories have shape {memories.shape}; expected {own.shape}.")
        own[:], self.chosen[:] = memories, saved["chosen"]

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """Choose actions for the environment's present state.

        It does not look at `observation`, and notices new episodes without `episode_start`.

        Returns:
            Actions int64 (B,), or int32 (B, 7) with native7; without the leading dimension for a single environment.
            And `state`, unchanged.
        """
        self.decide(self.worlds, self.memories, 0, len(self.worlds), self.salt, self.chosen)
        actions = self.chosen.copy() if self.table is None else self.table[self.chosen].astype(np.int32)
        single = len(self.worlds) == 1 and np.ndim(observation) in (0, 3) and not isinstance(observation, dict)
        return (actions[0] if single else actions), state

    def reset(self) -> None:
        """Forget all episodes."""
        self.memories["frame"] = 1 << 30

    def __call__(self, observation: Any) -> Any:
        """Choose an action in a plain Gymnasium loop."""
        return self.predict(observation)[0]
