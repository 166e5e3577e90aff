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
        env: As for `ScriptedExpert`.
        temperature: 0 plays without slips; 1 takes another action now and then, as a person would.
        seed: Of that noise.
        memory: Steps for which what was seen is remembered, 0 (the view alone) to 30 (two seconds).

    Raises:
        ValueError: If it cannot play the environment, or `memory` is not in this range.
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
        """Decide as `ScriptedExpert.predict` does; unless `took` tells of others, these actions count as taken."""
        reactive.note(self.memories, self.chosen)
        return super().predict(observation, state, episode_start, deterministic)

    def took(self, actions: np.ndarray) -> None:
        """Tell what was done instead of its last choices, where another policy drives and asks this one for advice.

        Args:
            actions: Numbers of dreamer15, (B,).
        """
        self.chosen[:] = actions
