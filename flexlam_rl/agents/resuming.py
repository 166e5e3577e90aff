"""Play that can be saved at any step and goes on in another process, equal to play that never stopped.

Worlds are kept as the actions that were taken in them, which are played again: an engine is much faster than a model.
What a policy remembers is kept as it tells it itself.

Legend: `T` steps, `N` environments.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from flexlam_rl.envs.observations import frames_of


class Elsewhere(RuntimeError):
    """A saved play, played again, leads elsewhere than before."""


@dataclass(frozen=True)
class Past:
    """Where a play was left.

    Attributes:
        actions: (T, N) or (T, N, ...): all that were taken.
        seen: CRC-32 of each environment's observation after them.
        memory: What the policy's `snapshot` gave.
    """

    actions: np.ndarray
    seen: list[int]
    memory: dict[str, Any]


def can_resume(policy: Any) -> bool:
    """Whether a policy tells what it remembers: whether it has `snapshot` and `restore` (see `rollout.Policy`)."""
    return callable(getattr(policy, "snapshot", None)) and callable(getattr(policy, "restore", None))


class Resumable:
    """A policy that `play_episodes` takes in the place of another one, whose play can then be saved and resumed.

    Args:
        policy: Who plays; `can_resume` of it must be true.
        past: Where to go on, with the same episodes begun in the same environments; None to begin.
        between: Called before each decision but the first and those of the past: `left` may be called then.
        resumed: Called when the past has been played again.
    """

    def __init__(
        self,
        policy: Any,
        past: Past | None = None,
        between: Callable[[], None] = lambda: None,
        resumed: Callable[[], None] = lambda: None,
    ) -> None:
        self._policy, self._past, self._between, self._resumed = policy, past, between, resumed
        self._actions: list[np.ndarray] = []
        self._observation: Any = None
        self._state: Any = None

    @property
    def last(self) -> Any:
        """What the policy tells of its last decision."""
        return None if self._past is not None else getattr(self._policy, "last", None)

    @property
    def spent(self) -> Any:
        """Codes that the policy has spent in each present episode, where it counts them."""
        return None if self._past is not None else getattr(self._policy, "spent", None)

    @property
    def steps(self) -> int:
        """T so far."""
        return len(self._actions)

    def left(self) -> Past:
        """Where the play is, between two decisions."""
        return Past(np.stack(self._actions), _seen(self._observation), self._policy.snapshot(self._state))

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        """Give the policy's actions, or those of the past.

        Raises:
            Elsewhere: The past has led to other observations than it did, or the policy cannot go on from there.
        """
        past = self._past
        if past is not None and len(self._actions) < len(past.actions):
            self._actions.append(past.actions[len(self._actions)])
            return self._actions[-1], None
        if past is not None:
            if _seen(observation) != past.seen:
                raise Elsewhere("the actions taken before lead to other observations now")
            try:
                state = self._policy.restore(past.memory)
            except (ValueError, LookupError, TypeError) as error:
                raise Elsewhere(f"the policy cannot go on: {error}") from error
            self._past = None
            self._resumed()
        self._observation, self._state = observation, state
        if self._actions:
            self._between()
        actions, state = self._policy.predict(observation, state, episode_start, deterministic)
        self._actions.append(np.array(actions))
        return actions, state

    def begin_episodes(self, which: np.ndarray, seeds: np.ndarray) -> None:
        """Tell the policy, if it wants to know; of the past it knows."""
        self._tell("begin_episodes", which, seeds)

    def map_restarted(self, which: np.ndarray) -> None:
        """Tell the policy, if it wants to know; of the past it knows."""
        self._tell("map_restarted", which)

    def end_episodes(self, which: np.ndarray) -> None:
        """Tell the policy, if it wants to know; of the past it knows."""
        self._tell("end_episodes", which)

    def _tell(self, name: str, *what: Any) -> None:
        if self._past is None and hasattr(self._policy, name):
            getattr(self._policy, name)(*what)


def _seen(observation: Any) -> list[int]:
    return [zlib.crc32(np.ascontiguousarray(one).tobytes()) for one in np.asarray(frames_of(observation))]
