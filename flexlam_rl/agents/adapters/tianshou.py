"""A latent action policy for Tianshou 2 and its collectors (the package `tianshou`, installed beside this one)."""

from typing import Any

import gymnasium as gym
import numpy as np
from tianshou.algorithm.algorithm_base import Policy
from tianshou.data import Batch

from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.agents.policy.observations import FRAME


class TianshouLatentPolicy(Policy):
    """Acts; it does not learn. For `Collector` and other synchronous loops.

    Tianshou hands a policy's hidden state back row by row and sets the rows of ended episodes to zero. Here it is an
    int64 array (n,) that names each row's place in the history inside, counted from 1; a zero begins an episode.

    Args:
        policy: What decides.
        action_space: The environment's single one.
    """

    def __init__(self, policy: LatentActionPolicy, action_space: gym.Space) -> None:
        super().__init__(action_space=action_space, action_scaling=False, action_bound_method=None)
        self._policy = policy
        self._history: Any = None
        self._places = 0

    def forward(self, batch: Any, state: np.ndarray | None = None, **kwargs: Any) -> Any:
        """Actions `act` and the next `state` for the frames `batch.obs` (n, H, W, C) or (n, C, H, W).

        Raises:
            ValueError: There are more rows than the collection began with.
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
        starts = np.ones(self._places, np.bool_)  # places without a row are cleared
        everywhere[places - 1], starts[places - 1] = frames, begins
        actions, self._history = self._policy.predict(everywhere, self._history, starts)
        return Batch(act=np.asarray(actions)[places - 1], state=places)
