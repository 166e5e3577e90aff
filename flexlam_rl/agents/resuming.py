"""Play that can be saved at any step and continued in another process, equal to play that never stopped.

Worlds are saved as the actions that were taken in them, which are then played again, because an engine is much faster
than a model. What a policy remembers is saved as its own snapshot.

Legend: `T` steps, `N` environments.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from flexlam_rl.envs.observations import frames_of


class Elsewhere(RuntimeError):
    """A saved play, when played again, leads to other observations than before."""


@dataclass(frozen=True)
class Past:
    """A saved play.

    Attributes:
        actions: All actions that were taken, (T, N) or (T, N, ...).
        seen: CRC-32 of each environment's observation after them.
        memory: Snapshot of the policy.
    """

    actions: np.ndarray
    seen: list[int]
    memory: dict[str, Any]


def can_resume(policy: Any) -> bool:
    """Return whether a policy's play can be saved: whether it has `snapshot` and `restore` (see `rollout.Policy`)."""
    return callable(getattr(policy, "snapshot", None)) and callable(getattr(policy, "restore", None))


class Resumable:
    """Wraps a policy for `play_episodes` so that its play can be saved and resumed.

    Args:
        policy: The policy; `can_resume` of it must be true.
        past: Saved play to continue, with the same episodes begun in the same environments; None to begin.
        between: Called before each new decision except the first one; `left` may be called then.
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
        """The policy's report on its last decision."""
        return None if self._past is not None else getattr(self._policy, "last", None)

    @property
    def spent(self) -> Any:
        """Number of codes that the policy has spent in each present episode, where it counts them."""
        return None if self._past is not None else getattr(self._policy, "spent", None)

    @property
    def remembered(self) -> Any:
        """Number of codes of past blocks that later decisions see in each present episode, where they are cut."""
        return None if self._past is not None else getattr(self._policy, "remembered", None)

    @property
    def steps(self) -> int:
        """Number of steps so far, T."""
        return len(self._actions)

    def left(self) -> Past:
        """Save the play as it is now, between two decisions."""
        return Past(np.stack(self._actions), _seen(self._observation), self._policy.snapshot(self._state))

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        """Return the actions of the past, and after these the policy's.

        Raises:
            Elsewhere: The past now leads to other observations, or the policy cannot continue from its snapshot.
        """
        past = self._past
        if past is not None and len(self._actions) < len(past.actions):
            self._actions.append(past.actions[len(self._actions)])
            return self._actions[-1], None
        if past is not None:
            if _seen(observation) != past.seen:
                raise Elsewhere("the same actions now lead to other observations")
            try:
                state = self._policy.restore(past.memory)
            except (ValueError, LookupError, TypeError) as error:
                raise Elsewhere(f"the policy cannot continue: {error}") from error
            self._past = None
            self._resumed()
        self._observation, self._state = observation, state
        if self._actions:
            self._between()
        actions, state = self._policy.predict(observation, state, episode_start, deterministic)
        self._actions.append(np.array(actions))
        return actions, state

    def begin_episodes(self, which: np.ndarray, seeds: np.ndarray) -> None:
        """Tell the policy, if it has this method; its snapshot already covers the past."""
        self._tell("begin_episodes", which, seeds)

    def map_restarted(self, which: np.ndarray) -> None:
        """Tell the policy, if it has this method; its snapshot already covers the past."""
        self._tell("map_restarted", which)

    def end_episodes(self, which: np.ndarray) -> None:
        """Tell the policy, if it has this method; its snapshot already covers the past."""
        self._tell("end_episodes", which)

    def _tell(self, name: str, *what: Any) -> None:
        if self._past is None and hasattr(self._policy, name):
            getattr(self._policy, name)(*what)


def _seen(observation: Any) -> list[int]:
    return [zlib.crc32(np.ascontiguousarray(one).tobytes()) for one in np.asarray(frames_of(observation))]
