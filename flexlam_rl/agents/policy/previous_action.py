"""The previous-action control: it sees nothing, and draws each action from what followed the last one in the labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from flexlam_rl.agents.policy.draws import Draws
from flexlam_rl.agents.policy.rows import mask_of, rows_of
from flexlam_rl.envs.base import action_count, base_env, batch_size, single_space


class PreviousActionPolicy:
    """Draws actions from counts of (previous action, action).

    A policy that looks at pictures must do better than this one, which only knows how experts' actions follow each
    other.

    Args:
        pairs: (A + 1, A) counts; row 0 is an episode's first step, row i + 1 follows action i. A row of zeros falls
            back to all rows together.
        env: What it will play.
        seed: Of the draws; with `begin_episodes` an episode's draws depend on its own seed only.

    Raises:
        ValueError: There are no counts, or the environment has another number of actions.
    """

    def __init__(self, pairs: Sequence[Sequence[int]], env: Any, seed: int = 0) -> None:
        counts = np.asarray(pairs, np.float64)
        actions = action_count(env)
        if not actions:
            raise ValueError(
                "The policy 'previous-action' counts single choices from 0; the environment has the actions "
                f"{single_space(env, 'action_space')}: expected Discrete, or play 'random' and 'bc'."
            )
        if counts.shape != (actions + 1, actions) or not counts.sum():
            raise ValueError(
                f"The counts of previous actions have shape {counts.shape}; the environment needs ({actions + 1}, "
                f"{actions}), not all 0."
            )
        counts[counts.sum(1) == 0] = counts.sum(0)
        self._sums = (counts / counts.sum(1, keepdims=True)).cumsum(1)
        self._draws = Draws(seed, 1)
        self._single = not hasattr(base_env(env), "num_envs")
        self._rows = batch_size(env)

    def begin_episodes(self, which: np.ndarray, seeds: np.ndarray) -> None:
        """Environments `which` begin episodes of these seeds."""
        rows_of(which, self._rows)
        self._draws.begin(which, seeds)

    def snapshot(self, state: Any) -> dict[str, Any]:
        """Everything that later actions depend on."""
        return {"draws": self._draws.snapshot(), "previous": state}

    def restore(self, saved: dict[str, Any]) -> Any:
        """Go on from a snapshot; gives the state."""
        self._draws.restore(saved["draws"])
        return saved["previous"]

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Actions (n,), a bare one for a single environment; the state is the last actions, -1 at an episode's
        start.
        """
        previous = np.full(self._rows, -1) if state is None else np.array(state)
        if episode_start is not None:
            previous[mask_of(episode_start, self._rows, "episode_start")] = -1
        sums = self._sums[previous + 1]
        if deterministic:
            actions = np.diff(sums, axis=1, prepend=0).argmax(1)
        else:
            actions = (sums <= self._draws.next(self._rows)).sum(1).clip(max=sums.shape[1] - 1)
        images = observation.get("RGB_INTERLEAVED", 0) if isinstance(observation, dict) else observation
        # the state is a copy: the caller may change its actions
        return (actions[0] if self._single and np.ndim(images) != 4 else actions), actions.copy()
