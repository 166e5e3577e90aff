"""Pixel experts as players: frames and their own previous actions, with Stable-Baselines3's `predict`.

Shapes: n environments, G width of the recurrent state.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from flexlam_rl.agents.experts.pixel.network import PixelNetwork
from flexlam_rl.agents.policy.compatibility import check_record, environment_spec
from flexlam_rl.agents.policy.draws import Draws
from flexlam_rl.agents.policy.observations import read_frames
from flexlam_rl.agents.policy.rows import mask_of, rows_of
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.sampling import pick
from flexlam_rl.utils.numbers import real

CHUNK = 16  # rows computed together: the numbers of an episode do not depend on how many play beside it


class PixelExpert:
    """Plays with a policy that `flexlam expert train` wrote.

    Args:
        path: Its folder.
        env: What it will play; must have the actions, frame skip and frame size that it was trained with.
        temperature: Divides the logits: 1 draws as trained, 0 takes the likeliest action.
        seed: Of the draws; with `begin_episodes` an episode's draws depend on its own seed only.

    Raises:
        CheckpointError: The folder holds no such policy.
        ValueError: The environment differs from the one trained in.
    """

    def __init__(self, path: str | Path, env: Any, temperature: float = 1.0, seed: int = 0) -> None:
        self.network = PixelNetwork.from_pretrained(path).eval().requires_grad_(False)
        trained = self.network.config.environment
        check_record(trained, environment_spec(env, trained))
        self.temperature = real(temperature, "temperature")
        self._frame = (3, trained.height, trained.width)
        self._draws = Draws(seed, self.network.config.choices)
        self._took: np.ndarray | None = None

    def begin_episodes(self, which: np.ndarray, seeds: np.ndarray) -> None:
        """Environments `which` begin episodes of these seeds."""
        self._draws.begin(rows_of(which), seeds)

    def took(self, actions: np.ndarray) -> None:
        """Tell what was done instead of its last choices, where another policy drives, (n,)."""
        self._took = np.array(actions, np.int64)

    def snapshot(self, state: Any) -> dict[str, Any]:
        """Everything that later actions depend on."""
        return {"draws": self._draws.snapshot(), "took": self._took, "state": state}

    def restore(self, saved: dict[str, Any]) -> Any:
        """Go on from a snapshot; gives the state."""
        self._draws.restore(saved["draws"])
        self._took = saved["took"]
        return saved["state"]

    @in_own_modes
    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Actions (n,) int64, a bare one for a single environment, and the state: (n, G) and the last actions (n,).

        A network that makes K choices per step gives actions (n, K).
        """
        frames, single = read_frames(observation, self._frame)
        n, network = len(frames), self.network
        hidden, previous = (
            (np.zeros((n, network.config.gru), np.float32), np.full((n, *network.config.tail), network.none))
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
        logits, states = [], []
        for first in range(0, n, CHUNK):
            rows = [part[first : first + CHUNK] for part in given]
            count = len(rows[0])
            now, before, start, held = (
                torch.from_numpy(np.concatenate([part, np.zeros((CHUNK - count, *part.shape[1:]), part.dtype)]))
                for part in rows
            )
            told, _, after = network(now[None], before[None], start[None], held)
            logits.append(told[0, :count])
            states.append(after[:count])
        scores = torch.cat(logits)
        if deterministic or self.temperature == 0.0:
            actions = scores.argmax(-1).numpy()
        else:
            draws = torch.from_numpy(self._draws.next(n)).flatten()
            actions = pick(scores.flatten(0, -2), draws, self.temperature).view(scores.shape[:-1]).numpy()
        return (actions[0] if single else actions), (torch.cat(states).numpy(), actions.copy())
