"""A policy in a plain loop: `reset` and calls, with the history kept inside.

Legend: `n` environments.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from flexlam_rl.agents.policy.history import PolicyState
from flexlam_rl.agents.policy.rows import mask_of, rows_of


class PlainLoop(ABC):
    """`reset` and calls of a policy that has `predict`."""

    _state: PolicyState | None = None
    _waiting: np.ndarray | None = None
    """(n,) bool: where the next observation begins an episode."""
    _current: PolicyState | None = None

    @abstractmethod
    def predict(
        self, observation: Any, state: PolicyState | None = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, PolicyState]:
        """Decide, as `LatentActionPolicy.predict` does."""

    def reset(self, which: Any = None) -> None:
        """The plain loop's next observation begins an episode: everywhere, or in environments `which` (bool mask or
        indices).

        Raises:
            ValueError: `which` does not fit the environments that play.
        """
        if which is None:
            if self._current is self._state:
                self._current = None
            self._state = self._waiting = None
            return
        index = rows_of(which, None if self._state is None else self._state.rows)
        if self._state is not None:  # else all begin
            self._waiting = np.zeros(self._state.rows, np.bool_) if self._waiting is None else self._waiting
            self._waiting[index] = True

    def __call__(self, observation: Any, info: dict[str, Any] | None = None) -> np.ndarray:
        """The action, for a plain loop over one environment or a batch; the history is kept inside.

        Args:
            observation: As for `predict`.
            info: What the environment gave with it; `map_reset` in it is heeded.

        Raises:
            ValueError: As for `predict`; nothing has been decided then.
        """
        restarted = None if info is None else info.get("map_reset")
        if restarted is not None and self._state is not None:
            self._state.restarted |= mask_of(restarted, self._state.rows, "map_reset")
        actions, self._state = self.predict(observation, self._state, self._waiting)
        self._waiting = None
        return actions
