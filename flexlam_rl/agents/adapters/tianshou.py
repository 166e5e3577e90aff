"""A latent action policy for Tianshou 2 and its collectors (the package `tianshou`, installed beside this one)."""

from typing import Any

import gymnasium as gym
import numpy as np
from tianshou.algorithm.algorithm_base import Policy
from tianshou.data import Batch

from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.agents.policy.observations import FRAME


class TianshouLatentPolicy(Policy):
    """A policy for `Collector` and other synchronous loops. It acts, and does not learn.

    Tianshou hands a policy's hidden state back row by row and sets the rows of ended episodes to zero. Here the hidden
    state is an int64 array (n,) with each row's place in the history that this object keeps, counted from 1; zero
    begins an episode.

    Args:
        policy: The policy that chooses the actions.
        action_space: The action space of a single environment.
    """

    def __init__(self, policy: LatentActionPolicy, action_space: gym.Space) -> None:
        super().__init__(action_space=action_space, action_scaling=False, action_bound_method=None)
        self._policy = policy
        self._history: Any = None
        self._places = 0

    def forward(self, batch: Any, state: np.ndarray | None = None, **kwargs: Any) -> Any:
        """Choose actions for the frames `batch.obs`, (n, H, W, C) or (n, C, H, W).

        Returns:
            A `Batch` with the actions `act` and the next `state`.

        Raises:
            ValueError: There are more rows than when the collection began.
        """
        obs = batch.obs
        frames = np.asarray(obs[FRAME] if isinstance(obs, Batch | dict) else obs)
        if not len(frames):
            return Batch(act=np.zeros(0, np.int64), state=np.zeros(0, np.int64))
        if state is None:
            self._history, self._places = None, len(frames)
            state = np.zeros(len(frames), np.int64)
        if len(frames) > self._places:
            raise ValueError(
                f"There are {len(frames)} observations, but the collection began with {self._places} environments."
            )
        places = np.array(state, np.int64)
        free = iter(sorted(set(range(1, self._places + 1)) - set(places.tolist())))
        begins = places == 0
        for row in np.flatnonzero(begins).tolist():
            places[row] = next(free)
        everywhere = np.zeros((self._places, *frames.shape[1:]), frames.dtype)
        starts = np.ones(self._places, np.bool_)  # clears the history of places without a row
        everywhere[places - 1], starts[places - 1] = frames, begins
        actions, self._history = self._policy.predict(everywhere, self._history, starts)
        return Batch(act=np.asarray(actions)[places - 1], state=places)
