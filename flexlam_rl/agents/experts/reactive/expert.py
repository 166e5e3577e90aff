"""The reactive experts as one object with Stable-Baselines3's `predict`."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from flexlam_rl.agents.experts.reactive import memory as reactive
from flexlam_rl.agents.experts.reactive.decide import decide_range
from flexlam_rl.agents.experts.scripted.expert import ScriptedExpert


class ReactiveExpert(ScriptedExpert):
    """Plays every level of litelab from the view, its own last actions and the last steps.

    Args:
        env: Environment or batch, as for `ScriptedExpert`.
        temperature: Strength of the noise: 0 plays without slips; 1 takes another action now and then, as a person
            would.
        seed: Seed of that noise.
        memory: Number of steps for which it remembers what it saw, from 0 (the view alone) to 30 (two seconds).

    Raises:
        ValueError: It cannot play the environment, or `memory` is out of range.
    """

    kind: ClassVar[str] = "reactive"
    record: ClassVar[np.dtype] = reactive.MEMORY
    decide: ClassVar[Callable[..., None]] = staticmethod(decide_range)

    def __init__(
        self,
        env: Any,
        temperature: float = 1.0,
        seed: int = 0,
        memory: int | None = reactive.LONGEST,
    ) -> None:
        if memory is None or memory > reactive.LONGEST:
            raise ValueError(f"memory is {memory}; the reactive expert remembers 0 to {reactive.LONGEST} steps.")
        super().__init__(env, temperature, seed, memory)

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Decide as `ScriptedExpert.predict` does. The actions count as taken, unless `took` names others."""
        reactive.note(self.memories, self.chosen)
        return super().predict(observation, state, episode_start, deterministic)

    def took(self, actions: np.ndarray) -> None:
        """Note the actions that another policy took instead of this expert's last choices.

        Args:
            actions: Numbers of actions of dreamer15, (B,).
        """
        self.chosen[:] = actions
