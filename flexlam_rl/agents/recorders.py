"""Recorders of an episode while it is played: of all of it (`Tape`), or only of its return (`Tally`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import gymnasium as gym
import numpy as np

from flexlam_rl.envs.action_spaces import action_spec_of
from flexlam_rl.envs.action_values import stored_actions, stored_type
from flexlam_rl.envs.domains.dmlab.actions import is_native

if TYPE_CHECKING:  # recording needs the extra `data`; scores do not
    from flexlam_rl.datasets.episode import Episode


@dataclass(frozen=True)
class Further:
    """A further column of a recording.

    Attributes:
        name: Name of the column in the store.
        observation: Name of the environment's observation that it comes from.
        dtype, row: Type and shape of a row.
        channel: Channel of a picture that is kept; None for the whole observation.
    """

    name: str
    observation: str
    dtype: str
    row: tuple[int, ...]
    channel: int | None = None

    def of(self, seen: Mapping[str, Any]) -> np.ndarray:
        """Take the column's row from an environment's observations."""
        value = np.asarray(seen[self.observation])
        return value if self.channel is None else value[..., self.channel]


class Recorder(Protocol):
    """Records one episode, step by step. If it has an attribute `further` that is not empty, its method `keep` is
    called after `observe`, with all observations by name.
    """

    steps: int

    def observe(self, frame: np.ndarray, text: str = "", restart: bool = False) -> None:
        """Take the observation before the next action.

        Args:
            frame: The frame, (H, W, C) uint8.
            text: The instruction.
            restart: Whether the map restarted before this observation.
        """

    def act(self, action: Any, reward: float, chosen: bool = True) -> None:
        """Take an action, its reward, and whether the policy chose it.

        Args:
            action: Action that followed the last observation.
            reward: Reward of the action.
            chosen: Whether the policy chose it.
        """

    def finish(self, terminated: bool, truncated: bool, last: bool = True) -> Any:
        """Return the result.

        Args:
            terminated: Whether the episode terminated.
            truncated: Whether it was truncated.
            last: Whether the observation after the last action is a real one.
        """


class Tape:
    """Records one episode.

    Args:
        key, seed: Number and seed of the episode.
        actions: Space of one action.
        length: Expected number of actions.
        marked: Whether to record which actions the policy chose, as the extra column "expert_chose".
        further: Further columns to record.
        last: Whether to keep the observation after the last action, where it is a real one.

    Raises:
        ValueError: A store cannot hold actions of this space.
    """

    def __init__(
        self,
        key: int,
        seed: int,
        actions: gym.Space[Any],
        length: int = 256,
        marked: bool = False,
        further: Sequence[Further] = (),
        last: bool = True,
    ) -> None:
        self._native = is_native(actions)
        self._spec = None if self._native else action_spec_of(actions)
        self.key, self.seed = key, seed
        self.steps = 0
        self._rows = length + 1
        self._frames = np.empty((0,), np.uint8)
        self._actions, self._rewards = list[Any](), list[float]()
        self._restarts: list[int] = []
        self._marked, self._not_chosen = marked, list[int]()
        self._texts: list[str] = []
        self.further, self._kept, self._last = further, list[dict[str, np.ndarray]](), last

    def observe(self, frame: np.ndarray, text: str = "", restart: bool = False) -> None:
        """Keep an observation."""
        if not len(self._frames):
            self._frames = np.empty((self._rows, *frame.shape), np.uint8)
        elif self.steps == len(self._frames):
            self._frames = np.concatenate([self._frames, np.empty_like(self._frames)])
        self._frames[self.steps] = frame
        self._texts.append(text)
        if restart:
            self._restarts.append(self.steps)

    def keep(self, seen: Mapping[str, Any]) -> None:
        """Keep the further columns of the last observation."""
        self._kept.append({column.name: np.array(column.of(seen), column.dtype) for column in self.further})

    def act(self, action: Any, reward: float, chosen: bool = True) -> None:
        """Keep an action and its reward."""
        if not chosen:
            self._not_chosen.append(self.steps)
        self._actions.append(np.array(action))  # a policy may reuse its array
        self._rewards.append(reward)
        self.steps += 1

    def finish(self, terminated: bool, truncated: bool, last: bool = True) -> Episode:
        """Return the episode."""
        from flexlam_rl.datasets.episode import Episode
        from flexlam_rl.datasets.marks import EXPERT_CHOSE

        rows = self.steps + 1 if last and self._last else self.steps
        restart = np.zeros(rows, np.bool_)
        restart[[row for row in self._restarts if row < rows]] = True
        chosen = np.ones(rows, np.bool_)
        chosen[self._not_chosen] = False
        actions = self._stored()
        extra = {EXPERT_CHOSE: chosen} if self._marked else {}
        for column in self.further:
            extra[column.name] = np.stack([kept[column.name] for kept in self._kept[:rows]])
        return Episode(
            frames=self._frames[:rows],
            action=None if self._native else actions,
            action_native=actions if self._native else None,
            reward=np.array(self._rewards, np.float64),
            terminated=terminated,
            truncated=truncated,
            restart=restart,
            instruction=self._texts[:rows] if any(self._texts) else "",
            seed=self.seed,
            key=self.key,
            extra=extra,
        )

    def _stored(self) -> np.ndarray:
        """Convert all actions, which are checked at once: checking each alone takes longer than recording it."""
        dtype, row = ("int16", (7,)) if self._spec is None else stored_type(self._spec)
        if not self._actions:
            return np.empty((0, *row), dtype)
        actions = np.stack(self._actions)
        return actions.astype(dtype) if self._spec is None else stored_actions(actions, self._spec, "A recorded action")


class Tally:
    """Adds up an episode's rewards and keeps nothing else; a recorder for scores."""

    def __init__(self, *_: Any) -> None:
        self.steps, self.total = 0, 0.0

    def observe(self, frame: Any, text: str = "", restart: bool = False) -> None:
        """Keep nothing."""

    def act(self, action: Any, reward: float, chosen: bool = True) -> None:
        """Add a reward."""
        self.steps += 1
        self.total += reward

    def finish(self, terminated: bool, truncated: bool, last: bool = True) -> Tally:
        """Return this tally, whose `total` is the return."""
        return self
