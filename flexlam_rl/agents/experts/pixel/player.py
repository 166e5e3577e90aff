"""Pixel experts as players, which see frames and their own previous actions, with Stable-Baselines3's `predict`.

Shapes: n environments, G width of the recurrent state, the widest of all policies.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flexlam_rl.agents.experts.pixel.network import PixelNetwork
from flexlam_rl.agents.experts.pixel.specialists import load_policies, player_of
from flexlam_rl.agents.policy.compatibility import check_record, environment_spec
from flexlam_rl.agents.policy.draws import Draws
from flexlam_rl.agents.policy.observations import read_frames
from flexlam_rl.agents.policy.rows import mask_of, rows_of
from flexlam_rl.envs.base import level_names
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.sampling import pick
from flexlam_rl.utils.numbers import real

CHUNK = 16  # rows computed together, always as many: an episode's numbers do not depend on how many play beside it


class PixelExpert:
    """Plays with a policy that `flexlam expert train` wrote, or with the specialists that `flexlam expert join` put
    beside it.

    Args:
        path: Folder of the policy.
        env: Environment or batch that it will play, with the actions, frame skip and frame size of its training.
        temperature: Number that divides the logits: 1 draws as trained, 0 takes the likeliest action.
        seed: Seed of the draws; with `begin_episodes`, an episode's draws depend only on its own seed.

    Raises:
        CheckpointError: The folder holds no such policy.
        ValueError: The environment differs from the one that the policy was trained in.
    """

    def __init__(self, path: str | Path, env: Any, temperature: float = 1.0, seed: int = 0) -> None:
        self.networks = [network.eval().requires_grad_(False) for network in load_policies(path)]
        self.network = self.networks[0]
        self._player: np.ndarray | None = None  # number of the policy that plays each environment; None: the only one
        if len(self.networks) > 1:
            self._player = player_of([network.config for network in self.networks], level_names(env))
        self._width = max(network.config.gru for network in self.networks)
        trained = self.network.config.environment
        check_record(trained, environment_spec(env, trained))
        self.temperature = real(temperature, "temperature")
        self._frame = (3, trained.height, trained.width)
        self._draws = Draws(seed, self.network.config.choices)
        self._took: np.ndarray | None = None

    def begin_episodes(self, which: np.ndarray, seeds: np.ndarray) -> None:
        """Note that the environments `which` begin episodes of these seeds."""
        self._draws.begin(rows_of(which), seeds)

    def took(self, actions: np.ndarray) -> None:
        """Note the actions (n,) that another policy took instead of the last choices."""
        self._took = np.array(actions, np.int64)

    def snapshot(self, state: Any) -> dict[str, Any]:
        """Return everything that later actions depend on."""
        return {"draws": self._draws.snapshot(), "took": self._took, "state": state}

    def restore(self, saved: dict[str, Any]) -> Any:
        """Continue from a snapshot, and return its `state` for `predict`."""
        self._draws.restore(saved["draws"])
        self._took = saved["took"]
        return saved["state"]

    @in_own_modes
    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Choose actions for frames.

        Returns:
            Actions (n,) int64, or one number for a single environment; with K choices per step, (n, K). And the state:
            the recurrent one (n, G) and the last actions.

        Raises:
            ValueError: The state is that of another number of environments.
        """
        frames, single = read_frames(observation, self._frame)
        n, network = len(frames), self.network
        hidden, previous = (
            (np.zeros((n, self._width), np.float32), np.full((n, *network.config.tail), network.none))
            if state is None
            else state
        )
        if len(previous) != n:
            raise ValueError(f"There are {n} observations and a state of {len(previous)}: begin with state=None.")
        if self._took is not None:
            if state is not None:
                previous = self._took
            self._took = None
        begins = np.zeros(n, np.bool_) if state is not None else np.ones(n, np.bool_)
        if episode_start is not None:
            begins = begins | mask_of(episode_start, n, "episode_start")
        given = (np.moveaxis(frames, 1, -1), np.asarray(previous), begins, np.asarray(hidden))
        scores = torch.zeros(n, *network.config.tail, network.config.actions)
        states = np.zeros((n, self._width), np.float32)
        playing = self._playing(n)
        for number, policy in enumerate(self.networks):
            own = np.flatnonzero(playing == number)
            for first in range(0, len(own), CHUNK):
                rows = own[first : first + CHUNK]
                scores[rows], states[rows, : policy.config.gru] = self._run(policy, [part[rows] for part in given])
        if deterministic or self.temperature == 0.0:
            actions = scores.argmax(-1).numpy()
        else:
            draws = torch.from_numpy(self._draws.next(n)).flatten()
            actions = pick(scores.flatten(0, -2), draws, self.temperature).view(scores.shape[:-1]).numpy()
        return (actions[0] if single else actions), (states, actions.copy())

    def _playing(self, n: int) -> np.ndarray:
        """Return the number of the policy that plays each of n environments."""
        if self._player is None:
            return np.zeros(n, np.int64)
        if len(self._player) != n:
            raise ValueError(f"There are {n} observations; the expert was made for {len(self._player)} environments.")
        return self._player

    def _run(self, policy: PixelNetwork, given: Sequence[np.ndarray]) -> tuple[torch.Tensor, np.ndarray]:
        """Compute logits and states of at most `CHUNK` rows, filled up to that number."""
        count = len(given[0])
        frames, previous, begins, hidden = (
            torch.from_numpy(np.concatenate([part, np.zeros((CHUNK - count, *part.shape[1:]), part.dtype)]))
            for part in given
        )
        logits, _, after = policy(frames[None], previous[None], begins[None], hidden[:, : policy.config.gru])
        return logits[0, :count], after[:count].numpy()
