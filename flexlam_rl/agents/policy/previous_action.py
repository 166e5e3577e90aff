"""The previous-action control policy, which sees nothing and draws each action by what followed the last in labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from flexlam_rl.agents.policy.draws import Draws
from flexlam_rl.agents.policy.rows import mask_of, rows_of
from flexlam_rl.envs.base import action_count, base_env, batch_size, single_space


class PreviousActionPolicy:
    """Draws actions from counts of (previous action, action).

    A policy that looks at frames must do better than this one, which knows only how experts' actions follow each other.

    Args:
        pairs: Counts, (A + 1, A): row 0 is for an episode's first step, row i + 1 for what follows action i. A row of
            zeros is replaced by the sum of all rows.
        env: Environment or batch that it will play.
        seed: Seed of the draws; with `begin_episodes`, an episode's draws depend only on its own seed.

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
        """Note that the environments `which` begin episodes of these seeds."""
        rows_of(which, self._rows)
        self._draws.begin(which, seeds)

    def snapshot(self, state: Any) -> dict[str, Any]:
        """Return everything that later actions depend on."""
        return {"draws": self._draws.snapshot(), "previous": state}

    def restore(self, saved: dict[str, Any]) -> Any:
        """Continue from a snapshot, and return its `state` for `predict`."""
        self._draws.restore(saved["draws"])
        return saved["previous"]

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Choose actions (n,), or one for a single environment; the state holds the last actions, -1 at an episode's
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
        # the state is a copy, because the caller may change the actions
        return (actions[0] if self._single and np.ndim(images) != 4 else actions), actions.copy()
