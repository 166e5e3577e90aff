"""A policy that plays with a clone of a video's actions.

Legend: `n` environments, `S` numbers of a state, `C H W` frame.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from flexlam_rl.agents.policy.compatibility import check_record, check_spaces, environment_spec
from flexlam_rl.agents.policy.draws import Draws
from flexlam_rl.agents.policy.observations import read_frames
from flexlam_rl.agents.policy.rows import mask_of, rows_of
from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.models.baselines.clone import Clone
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.sampling import pick

CHUNK = 16  # rows computed together, always as many: an episode's numbers do not depend on how many play beside it


class ClonePolicy:
    """Plays with a clone of a video's actions.

    It forgets its frames at a map restart, because no window of its training crosses one.

    Args:
        path: Folder of the model.
        env: Environment or batch that it will play, with the actions, frame skip and frame size of the video.
        seed: Seed of the draws; with `begin_episodes`, an episode's draws depend only on its own seed.
        deterministic: True takes the likeliest action; False or None draws from the model's distribution.
        temperature: Temperature of the draws, above 0.

    Attributes:
        likeliest: Likeliest actions at the last step, (n,).

    Raises:
        CheckpointError: The folder holds no such model.
        ValueError: The environment differs from that of the video, or the temperature is not above 0.
    """

    def __init__(
        self,
        path: str | Path,
        env: Any,
        seed: int = 0,
        deterministic: bool | None = None,
        temperature: float = 1.0,
    ) -> None:
        if not 0.0 < temperature < float("inf"):
            raise ValueError(f"temperature is {temperature}; expected a number above 0.")
        self.temperature = temperature
        self.model = Clone.from_pretrained(path).eval().requires_grad_(False)
        config = self.model.config
        check_record(config.environment, environment_spec(env, config.environment))
        check_spaces(env, ActionSpec((config.actions,), 0, config.environment.action_set), config.colours)
        self.deterministic = deterministic
        self._frame = (config.colours, config.environment.height, config.environment.width)
        self._draws = Draws(seed, 1)
        self._restarted = np.empty(0, np.int64)
        self.likeliest = np.empty(0, np.int64)

    def begin_episodes(self, which: np.ndarray, seeds: np.ndarray) -> None:
        """Note that the environments `which` begin episodes of these seeds."""
        self._draws.begin(rows_of(which), seeds)

    def map_restarted(self, which: np.ndarray) -> None:
        """Note that the next frames of the environments `which` do not follow from their last ones."""
        self._restarted = np.union1d(self._restarted, rows_of(which))

    @in_own_modes
    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Choose actions.

        Returns:
            Actions (n,) int64, or one for a single environment; and the state: (n, S) and the last actions (n,).

        Raises:
            ValueError: The state is that of another number of environments.
        """
        frames, single = read_frames(observation, self._frame)
        n, model = len(frames), self.model
        kept, previous = (
            (np.zeros((n, model.state_size), np.float32), np.full(n, model.none)) if state is None else state
        )
        if len(previous) != n:
            raise ValueError(f"There are {n} observations and a state of {len(previous)}: begin with state=None.")
        kept, previous = np.array(kept), np.array(previous)
        kept[self._restarted] = 0.0
        self._restarted = np.empty(0, np.int64)
        if episode_start is not None:
            begins = mask_of(episode_start, n, "episode_start")
            kept[begins], previous[begins] = 0.0, model.none
        logits, states = [], []
        for first in range(0, n, CHUNK):
            rows = [part[first : first + CHUNK] for part in (frames, previous, kept)]
            count = len(rows[0])
            now, before, held = (
                torch.from_numpy(np.concatenate([part, np.zeros((CHUNK - count, *part.shape[1:]), part.dtype)]))
                for part in rows
            )
            told, after = model(now[:, None], before[:, None], held)
            logits.append(told[:count, 0])
            states.append(after[:count])
        scores = torch.cat(logits)
        self.likeliest = scores.argmax(-1).numpy()
        greedy = deterministic if self.deterministic is None else self.deterministic
        if greedy:
            actions = self.likeliest.copy()
        else:
            actions = pick(scores, torch.from_numpy(self._draws.next(n)[:, 0]), self.temperature).numpy()
        return (actions[0] if single else actions), (torch.cat(states).numpy(), actions.copy())
