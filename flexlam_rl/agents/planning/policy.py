"""`PlanningPolicy`, which plays a real environment by planning in a world model, anew at each step.

Shapes: n environments, C H W frame.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.agents.imagined.controls import Controls, LatentControls
from flexlam_rl.agents.imagined.memory import Memory
from flexlam_rl.agents.imagined.rewards import FrameRewards
from flexlam_rl.agents.latent_space import Translation
from flexlam_rl.agents.planning.shooting import Search, search
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.agents.policy.observations import read_frames
from flexlam_rl.agents.policy.rows import begun, mask_of, rows_of
from flexlam_rl.envs.base import batch_size
from flexlam_rl.models.interfaces import SteppedWorldModel
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.utils.numbers import whole


class PlanningPolicy:
    """A policy that searches for the best plan at each step, and takes its first action.

    In a plan over latent actions, a bundle's translator turns the first latent action into a real one. In a plan over
    the environment's own actions, the first one is taken as it is.

    Args:
        env: Environment or batch that it will play.
        model: The world model.
        controls: Controls of the world model.
        rewards: Rewards of imagined frames.
        options: Options of the search; None for the defaults.
        translator: Policy whose translator turns codes into actions; None where actions are the environment's own.
        seed: Seed that determines every plan, together with the episode seeds given to `begin_episodes`.

    Raises:
        ValueError: There are no rewards, or the environment does not fit.
    """

    def __init__(
        self,
        env: Any,
        model: SteppedWorldModel,
        controls: Controls,
        rewards: FrameRewards,
        options: Search | None = None,
        translator: LatentActionPolicy | None = None,
        seed: int = 0,
    ) -> None:
        if rewards.model is None:
            raise ValueError("reward is None; a planner needs a reward model, because without one all plans are equal.")
        self.model, self.controls, self.rewards = model, controls, rewards
        self.options, self.seed = options or Search(), whole(seed, "seed")
        rows = batch_size(env)
        self._translate: Translation | None = None
        if isinstance(controls, LatentControls):
            if translator is None:
                raise ValueError("translator is None; plans over latent actions need the translator of a bundle.")
            translator.check(env, True)
            self._translate = Translation(translator, rows, int(controls.budget))
        # all candidates of a row, and no others, are computed together: its plans do not depend on other rows
        self._memory = Memory(model, rows, self.options.candidates)
        self._video = torch.zeros(rows, rewards.window, *model.frame_shape, dtype=torch.uint8)
        self._last: Tensor | None = None
        self._acted = np.zeros((rows, *(controls.space.shape or ())), np.int64)
        self._generators = [np.random.default_rng([self.seed, 1, i]) for i in range(rows)]
        self._cut = np.ones(rows, np.bool_)

    def begin_episodes(self, which: np.ndarray, seeds: np.ndarray) -> None:
        """Note that the environments `which` begin episodes of these seeds."""
        index, numbers = begun(which, seeds, self._memory.rows)
        for i, seed in zip(index.tolist(), numbers, strict=True):
            self._generators[i] = np.random.default_rng([self.seed, 0, seed])
        self._cut[index] = True

    def map_restarted(self, which: np.ndarray) -> None:
        """Note that the next frames of the environments `which` do not follow from their last ones."""
        self._cut[rows_of(which, self._memory.rows)] = True

    @in_own_modes
    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """Choose actions.

        Returns:
            Actions (n, ...) of the environment's own space, or one for a single environment; and `state`, unchanged.

        Raises:
            ValueError: The observations are those of another number of environments.
        """
        given, single = read_frames(observation, self.model.frame_shape)
        frames = torch.from_numpy(np.ascontiguousarray(given))
        rows = self._memory.rows
        if len(frames) != rows:
            raise ValueError(f"There are {len(frames)} observations; the policy was made for {rows} environments.")
        if episode_start is not None:
            starts = mask_of(episode_start, rows, "episode_start")
            self._cut |= starts
            if self._translate is not None and starts.any():
                self._translate.reset(starts)
        self._see(frames)
        plan = search(self._memory, self._video, self.controls, self.rewards, self.options, self._generators)
        self._acted = plan.actions[:, 0].copy()
        self._last, self._cut = frames, np.zeros(rows, np.bool_)
        actions = self._acted if self._translate is None else self._translate(self._acted, observation)
        return (actions[0] if single else actions), state

    def _see(self, frames: Tensor) -> None:
        """Remember the newest frames."""
        begin, go = np.flatnonzero(self._cut), np.flatnonzero(~self._cut)
        index = torch.from_numpy(begin)
        if len(begin):
            least = self.model.look_back.least
            like = self.controls.told(np.zeros((len(begin), *self._acted.shape[1:]), np.int64))[:, None]
            self._memory.begin(begin, frames[index][:, None].expand(-1, least, -1, -1, -1), None, like)
            self._video[index] = frames[index][:, None]
        if len(go):
            assert self._last is not None
            index = torch.from_numpy(go)
            pair = torch.stack([self._last[index], frames[index]], dim=1)
            led = self.controls.past(pair, self._acted[go][:, None])
            told = self.controls.told(self._acted[go]) if led is None else led[:, 0]
            self._memory.append(go, self.model.remember(pair)[:, -1], told)
            self._video[index] = torch.cat([self._video[index, 1:], frames[index][:, None]], dim=1)
