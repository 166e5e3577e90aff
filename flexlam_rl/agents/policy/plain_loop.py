"""Playing in a plain loop, with `reset` and calls; the policy keeps the history.

Legend: `n` environments.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from flexlam_rl.agents.policy.history import PolicyState
from flexlam_rl.agents.policy.rows import mask_of, rows_of


class PlainLoop(ABC):
    """Adds `reset` and calls to a policy that has `predict`."""

    _state: PolicyState | None = None
    _waiting: np.ndarray | None = None
    """(n,) bool: whether the next observation begins an episode."""
    _current: PolicyState | None = None

    @abstractmethod
    def predict(
        self, observation: Any, state: PolicyState | None = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, PolicyState]:
        """Choose actions, as `LatentActionPolicy.predict` does."""

    def reset(self, which: Any = None) -> None:
        """Begin an episode with the next observation of the plain loop.

        Args:
            which: Environments that begin one, as a bool mask or indices; None for all.

        Raises:
            ValueError: `which` does not fit the environments that play.
        """
        if which is None:
            if self._current is self._state:
                self._current = None
            self._state = self._waiting = None
            return
        index = rows_of(which, None if self._state is None else self._state.rows)
        if self._state is not None:  # without a state, all begin
            self._waiting = np.zeros(self._state.rows, np.bool_) if self._waiting is None else self._waiting
            self._waiting[index] = True

    def __call__(self, observation: Any, info: dict[str, Any] | None = None) -> np.ndarray:
        """Choose an action in a plain loop over one environment or a batch.

        Args:
            observation: As for `predict`.
            info: Info that came with the observation; its `map_reset` begins a new history.

        Raises:
            ValueError: `predict` refuses the observation; the history has not changed then.
        """
        restarted = None if info is None else info.get("map_reset")
        if restarted is not None and self._state is not None:
            self._state.restarted |= mask_of(restarted, self._state.rows, "map_reset")
        actions, self._state = self.predict(observation, self._state, self._waiting)
        self._waiting = None
        return actions
